// The explorer: one large chart of the cells of the run, chosen by a reader.

function explorer(place, given) {
  const rows = transposed(given.table).map(function (row) {
    return Object.fromEntries(given.table.names.map(function (name, k) { return [name, row[k]]; }));
  });
  const looks = given.looks, measures = given.measures, hidden = new Set();
  const state = Object.assign({ log: true }, given.first);
  const form = make("div", { class: "choices" });
  const chips = make("div", { class: "chips", role: "group", "aria-label": "Backends" });
  const node = make("div", { id: "chart", class: "live", role: "img" });
  const told = make("p", { id: "told", class: "note", "aria-live": "polite" });
  place.append(form, chips, node, told);

  function distinct(name, among) {
    return Array.from(new Set(among.map(function (row) { return row[name]; })));
  }
  function matching(names) {
    return rows.filter(function (row) { return names.every(function (name) { return row[name] === state[name]; }); });
  }
  const selects = {};
  function choose(name, title) {
    const label = make("label", {}, title);
    selects[name] = make("select", { name: name });
    label.append(selects[name]);
    form.append(label);
    selects[name].addEventListener("change", function () { state[name] = selects[name].value; update(); });
  }
  choose("problem", "Problem");
  choose("operator", "Operator");
  choose("dtype", "Dtype");
  choose("size", "Size");
  choose("across", "Compare");
  choose("shown", "Quantity");
  const scale = make("label", {}, "Axes");
  const switcher = make("button", { type: "button", id: "log" });
  switcher.addEventListener("click", function () { state.log = !state.log; update(); });
  scale.append(switcher);
  form.append(scale);
  Object.keys(looks).forEach(function (backend) {
    const chip = make("button", { type: "button", "aria-pressed": "true" }, backend);
    const dot = make("i", {});
    function paint() { dot.style.background = themed(looks[backend].colour); }
    document.addEventListener("themed", paint);
    paint();
    chip.prepend(dot);
    chip.addEventListener("click", function () {
      if (!hidden.delete(backend)) hidden.add(backend);
      chip.setAttribute("aria-pressed", String(!hidden.has(backend)));
      update();
    });
    chips.append(chip);
  });

  // Which choices a chart leaves open: what it shows across.
  const FREE = { backend: [], size: ["size"], problem: ["problem", "size"], calls: [] };
  function fill(name, values, titles) {
    const select = selects[name];
    if (!values.includes(state[name])) state[name] = values[0];
    select.replaceChildren(...values.map(function (value, k) {
      return make("option", value === state[name] ? { value: value, selected: "" } : { value: value },
        titles ? titles[k] : value);
    }));
    select.disabled = values.length < 2;
  }
  function refill() {
    const free = FREE[state.across];
    ["problem", "operator", "dtype", "size"].forEach(function (name, k, names) {
      const fixed = names.slice(0, k).filter(function (other) { return !free.includes(other); });
      const values = distinct(name, matching(fixed));
      fill(name, values, name === "size" ? values.map(sizeWords) : null);
      if (free.includes(name)) selects[name].disabled = true;
    });
    fill("across", Object.keys(given.across), Object.values(given.across));
    fill("shown", Object.keys(measures), Object.values(measures).map(function (m) { return m.title; }));
    if (state.across === "calls") selects.shown.disabled = true;
    switcher.textContent = state.log ? "Logarithmic" : "Linear";
  }
  function sizeWords(size) {
    const row = rows.find(function (r) { return r.size === size && r.problem === state.problem; });
    return row ? size + ": " + row.where : size;
  }
  function chosen() {
    const free = FREE[state.across];
    return matching(["problem", "operator", "dtype", "size"].filter(function (name) { return !free.includes(name); }));
  }

  // ---- the chart

  function points(found) {
    const measure = measures[state.shown];
    return found.filter(function (row) { return row[state.shown] !== null && !hidden.has(row.backend); })
      .map(function (row) {
        return Object.assign({}, row, {
          series: row.backend, value: row[state.shown], flags: measure.timed ? row.flags : "",
          width: 2.5, dash: looks[row.backend].dash,
          low: measure.low ? row[measure.low] : null, high: measure.high ? row[measure.high] : null });
      });
  }
  // Total time for n calls, n from 1 to where the last line has crossed the others.
  function calls(found) {
    const made = [];
    found.filter(function (row) { return row.setup > 0 && row.time > 0 && !hidden.has(row.backend); })
      .forEach(function (row) {
        for (let k = 0; k <= 24; k += 1) {
          const n = Math.round(Math.pow(10, k / 4));
          made.push(Object.assign({}, row, {
            series: row.backend, n: n, value: row.setup + (n - 1) * row.time, low: null, high: null,
            width: 2.5, dash: looks[row.backend].dash }));
        }
      });
    return made;
  }
  function names(shown) {
    if (state.across === "problem") return distinct("problem", shown);
    const order = shown.slice().sort(function (a, b) { return a.value - b.value; });
    return distinct("series", order);
  }
  function built(found) {
    const spec = JSON.parse(JSON.stringify(given.charts[state.across]));
    const measure = measures[state.across === "calls" ? "time" : state.shown];
    let shown = state.across === "calls" ? calls(found) : points(found);
    const dotted = state.across === "backend" || state.across === "problem";
    const positive = shown.filter(function (row) { return row.value > 0; });
    if (state.log) {
      // A log axis has no zero: dots are drawn at its left end with a 0 beside them, lines leave it out.
      const least = positive.length ? Math.min(...positive.map(function (row) { return row.value; })) : 1;
      shown = dotted ? shown.filter(function (row) { return row.value >= 0; }) : positive;
      shown.forEach(function (row) { if (row.value === 0) Object.assign(row, { value: least / 2.5, zero: "value" }); });
    }
    const order = names(shown);
    shown.forEach(function (r) { r.name = state.across === "problem" ? r.problem : r.series; });
    walk(spec, function (part) {
      if (["value", "low"].includes(part.field) && part.type === "quantitative") {
        part.title = state.across === "calls" ? "total time, with preparation" : measure.title;
        Object.assign(part.axis, measure.axes[state.across === "size" || state.across === "calls" ? "y" : "x"]);
        if (part.scale.type === "log") part.scale.base = measure.base;
      }
      if (part.field === "name") {
        part.sort = order;
        if (part.axis) part.axis.labelLimit = 260;
      }
      if (part.type === "point" && part.size) part.size = part.tooltip === null ? 40 : 130;
      if (part.field === "n" && shown.length && state.across === "size") part.title = shown[0].axis;
    });
    if (dotted) {
      const lines = state.across === "problem" ? Math.max(26, 10 + 9 * distinct("series", shown).length) : 36;
      spec.height = lines * Math.max(order.length, 1);
    }
    spec.data.values = shown;
    spec.title = { text: headline(), subtitle: subtitle(found) };
    return spec;
  }
  function headline() {
    const what = state.across === "calls" ? "total time" : measures[state.shown].title;
    return what[0].toUpperCase() + what.slice(1) + ": " + state.operator +
      (state.across === "problem" ? "" : " of " + state.problem);
  }
  function subtitle(found) {
    const fixed = FREE[state.across].length || !found.length ? "" : ", " + found[0].where;
    return state.dtype + fixed;
  }
  function words(found) {
    const visible = found.filter(function (row) { return !hidden.has(row.backend); });
    const absent = visible.filter(function (row) { return row.status !== "ok"; });
    const flagged = visible.filter(function (row) { return row.flags && row.status === "ok"; });
    const parts = [];
    if (absent.length) {
      parts.push("No result: " + distinct("backend", absent).map(function (backend) {
        const row = absent.find(function (r) { return r.backend === backend; });
        return backend + " (" + row.status + (row.message ? ": " + row.message : "") + ")";
      }).join("; ") + ".");
    }
    if (flagged.length && measures[state.shown].timed) {
      parts.push("Hollow: flagged, read with care: " + distinct("backend", flagged).map(function (backend) {
        const flags = flagged.filter(function (r) { return r.backend === backend; })
          .flatMap(function (r) { return r.flags.split(" "); });
        return backend + " (" + Array.from(new Set(flags)).join(", ") + ")";
      }).join(", ") + ".");
    }
    return parts.join(" ");
  }
  function update() {
    refill();
    const found = chosen();
    const spec = built(found);
    node.setAttribute("aria-label", spec.title.text + ", " + spec.title.subtitle);
    told.textContent = spec.data.values.length ? words(found) : "No cell of this choice has a result. " + words(found);
    return chart(node, spec, state.log);
  }
  return update();
}

// ---- start: first what is in view, then, when the page is at rest, the drawings for print

(async function start() {
  enliven(document);
  await follow();
  window.addEventListener("hashchange", follow);
  const part = packedPart("explorer");
  if (part) await explorer(part.parentElement, JSON.parse(await unpack(part)));
  if (packedPart("figures")) {
    printable = true;
    await Promise.all(Array.from(document.querySelectorAll("figure"), addPrinted));
  }
  root.dataset.ready = "yes";
})();
