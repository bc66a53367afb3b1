// The page: its theme, and its packed parts, each unpacked when a reader comes to it.

const root = document.documentElement;

// ---- theme: auto (that of the system), light, dark

const THEMES = ["system", "light", "dark"];
const button = document.getElementById("theme");
function stored() {
  try { return localStorage.getItem("theme"); } catch (e) { return null; }
}
function setTheme(theme) {
  if (theme === "system") root.removeAttribute("data-theme"); else root.dataset.theme = theme;
  button.textContent = "Theme: " + (theme === "system" ? "auto" : theme);
  button.dataset.theme = theme;
  document.dispatchEvent(new Event("themed"));
  try { localStorage.setItem("theme", theme); } catch (e) { /* a page opened from a file may have no storage */ }
}
button.hidden = false;
button.addEventListener("click", function () {
  setTheme(THEMES[(THEMES.indexOf(button.dataset.theme) + 1) % THEMES.length]);
});
setTheme(THEMES.includes(stored()) ? stored() : "system");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
  document.dispatchEvent(new Event("themed"));
});

function dark() {
  const chosen = root.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
const COLOURS = JSON.parse(document.getElementById("colours").textContent);
// Text with the colours of the light theme replaced by those of the theme that is shown.
function themed(text) {
  if (!dark()) return text;
  return text.replace(/#[0-9a-f]{6}/g, function (colour) { return COLOURS[colour] || colour; });
}

// ---- packed parts

async function unpack(script) {
  const bytes = Uint8Array.from(atob(script.textContent), function (c) { return c.charCodeAt(0); });
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}
function packedPart(kind, within) {
  return (within || document).querySelector("script.packed[data-kind=" + kind + "]");
}
async function unfold(details) {
  const script = details.querySelector(":scope > script.packed");
  if (!script) return;
  script.remove();
  const text = await unpack(script);
  if (script.dataset.kind === "table") {
    fullTable(details, JSON.parse(text));
  } else {
    const holder = document.createElement("template");
    holder.innerHTML = text;
    details.append(holder.content);
    enliven(details);
  }
}
// A link or an address that leads into a folded part opens it.
async function follow() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS" && !target.open) {
    target.open = true;
    await unfold(target);
    target.scrollIntoView();
  }
}
function enliven(part) {
  part.querySelectorAll("table.sortable").forEach(sortableTable);
  part.querySelectorAll("figure").forEach(watch);
  part.querySelectorAll("details").forEach(function (details) {
    details.addEventListener("toggle", function () { if (details.open) unfold(details); });
  });
  stops();
}
