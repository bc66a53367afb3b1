// Figures: drawn when they come into view, in the colours of the theme; their drawings for print are put in place after.

function once(make) {
  let made;
  return function () { return made || (made = make()); };
}
const figures = once(async function () { return JSON.parse(await unpack(packedPart("figures"))); });
const library = once(async function () {
  const code = document.createElement("script");
  code.textContent = await unpack(packedPart("library"));
  document.head.append(code);
  return window.vegaEmbed;
});
function address(svg) {
  return "data:image/svg+xml," + encodeURIComponent(svg);
}

// ---- charts

// Calls `change` with every object inside a specification.
function walk(part, change) {
  if (part === null || typeof part !== "object") return;
  if (!Array.isArray(part)) change(part);
  Object.values(part).forEach(function (inner) { walk(inner, change); });
}
function isLog(spec) {
  let found = false;
  walk(spec, function (part) { if (part.scale && part.scale.type === "log") found = true; });
  return found;
}
function linear(spec) {
  spec.params.find(function (param) { return param.name === "log"; }).value = false;
  spec.data.values.forEach(function (row) { if (row.zero) row[row.zero] = 0; });
  spec.layer = spec.layer.filter(function (layer) { return !layer.mark || layer.mark.text !== "0"; });
  walk(spec, function (part) {
    if (part.scale && part.scale.type === "log") part.scale = { zero: true, nice: true };
  });
}
// Pixels that the names of rows take at the left of a chart; on a narrow page they are cut.
function left(spec, width) {
  let taken = 60;
  walk(spec, function (part) {
    if (part.field !== "name" || !part.axis) return;
    if (width < 520) part.axis.labelLimit = 120;
    const longest = Math.max(0, ...spec.data.values.map(function (row) { return String(row.name).length; }));
    taken = Math.min(part.axis.labelLimit, 7 * longest) + 10;
  });
  return taken;
}
function wrapped(text, most) {
  if (!text || Array.isArray(text) || text.length <= most) return text;
  const lines = [""];
  text.split(" ").forEach(function (word) {
    const longer = lines[lines.length - 1] ? lines[lines.length - 1] + " " + word : word;
    if (longer.length <= most) lines[lines.length - 1] = longer; else lines.push(word);
  });
  return lines.filter(Boolean);
}
// Fits texts into the width, in pixels of a letter; the legend gets as many columns as fit, with 28 for a marker.
function fit(spec, width) {
  const inner = width - left(spec, width);
  spec.title.text = wrapped(spec.title.text, Math.floor(width / 8.8));
  spec.title.subtitle = wrapped(spec.title.subtitle, Math.floor(width / 7));
  walk(spec, function (part) {
    if (part.type === "quantitative" && typeof part.title === "string") {
      part.title = wrapped(part.title, Math.floor(inner / 6.6));
    }
    if (!part.legend || !part.legend.columns) return;
    const names = part.scale.domain;
    const widest = 28 + 6.3 * Math.max(...names.map(function (name) { return Math.min(name.length, 30); }));
    part.legend.columns = Math.max(1, Math.min(names.length, Math.floor(inner / widest)));
  });
}
// Draws a chart into an element. Of two calls that overlap, the later one wins.
async function chart(node, given, log) {
  const turn = node.turn = (node.turn || 0) + 1;
  // From here on, not when it is drawn: what a reader does meanwhile starts from this chart, not from the one before.
  node.shown = { given: given, log: log };
  node.setAttribute("aria-busy", "true");
  const embed = await library();
  if (node.turn !== turn) return;
  const spec = JSON.parse(themed(JSON.stringify(given)));
  node.shown.width = node.clientWidth;
  const width = Math.max(node.clientWidth, 240);
  Object.assign(spec, { width: width, autosize: { type: "fit-x", contains: "padding" } });
  fit(spec, width);
  if (!log) linear(spec);
  if (matchMedia("(pointer: coarse)").matches) {
    // A finger on a chart scrolls the page.
    walk(spec.layer, function (part) {
      if (part.params) part.params = part.params.filter(function (param) { return param.name !== "view"; });
    });
  }
  if (node.drawn) node.drawn.finalize();
  const drawn = await embed(node, spec, {
    mode: "vega-lite", renderer: "canvas", actions: false, ast: true, logLevel: 1, tooltip: { theme: dark() ? "dark" : "light" } });
  if (node.turn !== turn) return drawn.finalize();
  node.drawn = drawn;
  node.setAttribute("aria-busy", "false");
}
function tools(figure, node, spec) {
  const bar = make("div", { class: "chart-tools" });
  const reset = make("button", { type: "button" }, "Reset");
  reset.addEventListener("click", function () { chart(node, spec, node.shown.log); });
  if (isLog(spec)) {
    const scale = make("button", { type: "button" }, "Linear axes");
    scale.addEventListener("click", function () {
      const log = !node.shown.log;
      scale.textContent = log ? "Linear axes" : "Log axes";
      chart(node, spec, log);
    });
    bar.append(scale);
  }
  bar.append(reset);
  figure.querySelector(".drawing").after(bar);
}

// ---- figures

async function show(figure) {
  const given = (await figures())[figure.dataset.name];
  const box = figure.querySelector(".drawing");
  if (given.spec) {
    const node = make("div", { class: "live" });
    box.prepend(node);
    await chart(node, given.spec, true);
    tools(figure, node, given.spec);
  } else {
    const image = make("img", { class: "live", alt: "", src: address(themed(given.svg)) });
    image.again = function () { image.src = address(themed(given.svg)); };
    box.prepend(image);
  }
  box.style.aspectRatio = "auto";
}
const seen = new IntersectionObserver(function (entries) {
  entries.forEach(function (entry) {
    if (!entry.isIntersecting) return;
    seen.unobserve(entry.target);
    show(entry.target);
  });
}, { rootMargin: "400px" });
let printable = false;
async function addPrinted(figure) {
  const given = (await figures())[figure.dataset.name];
  const image = make("img", { class: "printed", alt: "", src: address(given.svg) });
  figure.querySelector(".drawing").append(image);
  return image.decode().catch(function () {});
}
function watch(figure) {
  seen.observe(figure);
  if (printable) addPrinted(figure);
}
function redraw() {
  document.querySelectorAll(".live").forEach(function (node) {
    if (node.again) node.again();
    if (node.shown) chart(node, node.shown.given, node.shown.log);
  });
}
document.addEventListener("themed", redraw);
let waiting;
window.addEventListener("resize", function () {
  clearTimeout(waiting);
  waiting = setTimeout(function () {
    document.querySelectorAll(".live").forEach(function (node) {
      if (node.shown && node.shown.width !== node.clientWidth) chart(node, node.shown.given, node.shown.log);
    });
  }, 200);
});
