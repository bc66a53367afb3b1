// Tables: sorted by a click on a heading; full tables are filtered and shown page by page.

// ---- sorting

const collator = new Intl.Collator("en", { numeric: true });
function compare(numeric) {
  return function (a, b) {
    if (!numeric) return collator.compare(a, b);
    const x = parseFloat(a), y = parseFloat(b);
    // Texts that are not numbers come last in both directions.
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return x === y ? 0 : x < y ? -1 : 1;
  };
}
function missing(text, numeric) {
  return numeric && !Number.isFinite(parseFloat(text));
}
function ordered(items, key, numeric, down) {
  const by = compare(numeric);
  const known = items.filter(function (i) { return !missing(key(i), numeric); });
  const unknown = items.filter(function (i) { return missing(key(i), numeric); });
  known.sort(function (a, b) { return down ? by(key(b), key(a)) : by(key(a), key(b)); });
  return known.concat(unknown);
}
function sortable(table, numeric, apply) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach(function (th, k) {
    const control = document.createElement("button");
    control.type = "button";
    control.className = "sort";
    control.append(...th.childNodes);
    if (!control.textContent) control.setAttribute("aria-label", "name");
    th.append(control);
    control.addEventListener("click", function () {
      const down = th.getAttribute("aria-sort") === "ascending";
      heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
      th.setAttribute("aria-sort", down ? "descending" : "ascending");
      apply(k, numeric[k], down);
    });
  });
}
function sortableTable(table) {
  const numeric = Array.from(table.tHead.rows[0].cells, function (th) { return th.classList.contains("num"); });
  sortable(table, numeric, function (k, isNumber, down) {
    const key = function (row) {
      const c = row.cells[k];
      return c.hasAttribute("data-key") ? c.dataset.key : c.textContent.trim();
    };
    table.tBodies[0].append(...ordered(Array.from(table.tBodies[0].rows), key, isNumber, down));
  });
}

// ---- full tables: filtered, sorted, page by page

// Rows shown at a time; fewer on a small screen.
const PAGE = matchMedia("(max-width: 40rem)").matches ? 15 : 50;

function make(tag, attributes, text) {
  const made = document.createElement(tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  if (text !== undefined) made.textContent = text;
  return made;
}
function word(value) {
  if (value === null || value === "") return "-";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(3).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}
function unpacked(column) {
  if (Array.isArray(column)) return column;
  const values = [];
  for (let k = 0; k < column.runs.length; k += 2) {
    for (let n = column.runs[k + 1]; n > 0; n -= 1) values.push(column.words[column.runs[k]]);
  }
  return values;
}
function transposed(data) {
  const columns = data.columns.map(unpacked);
  return Array.from({ length: data.count }, function (_, k) {
    return columns.map(function (column) { return column[k]; });
  });
}
function fullTable(section, data) {
  const title = section.querySelector("summary").textContent;
  let rows = transposed(data), shown = rows, page = 0;
  const tools = make("div", { class: "tools" });
  const filter = make("input", {
    type: "search", placeholder: "filter rows by words", "aria-label": "Filter " + title });
  const back = make("button", { type: "button" }, "Previous");
  const next = make("button", { type: "button" }, "Next");
  const state = make("output", { "aria-live": "polite" });
  tools.append(filter, back, next, state);
  const scroll = make("div", { class: "scroll", role: "group", tabindex: "0", "aria-label": title });
  const table = make("table", {});
  table.createCaption().textContent = title;
  table.caption.className = "unseen";
  const head = table.createTHead().insertRow();
  data.names.forEach(function (name, k) {
    head.append(make("th", data.numeric[k] ? { scope: "col", class: "num" } : { scope: "col" }, name));
  });
  const body = table.createTBody();
  scroll.append(table);
  section.append(tools, scroll);
  const texts = new Map();
  function text(row) {
    if (!texts.has(row)) texts.set(row, row.join("\n").toLowerCase());
    return texts.get(row);
  }
  function show() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    body.replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map(function (row) {
      const tr = make("tr", {});
      row.forEach(function (value, k) {
        const shown = word(value);
        const kind = data.numeric[k] ? "num" : shown.length > 80 ? "long" : "short";
        const cell = make(k ? "td" : "th", { class: value === null || value === "" ? kind + " none" : kind }, shown);
        if (!k) cell.scope = "row";
        if (shown !== String(value) && value !== null && value !== "") cell.title = String(value);
        tr.append(cell);
      });
      return tr;
    }));
    back.disabled = page === 0;
    next.disabled = page === pages - 1;
    const first = shown.length ? page * PAGE + 1 : 0;
    state.textContent = first + " to " + Math.min((page + 1) * PAGE, shown.length) + " of " + shown.length +
      (shown.length < rows.length ? " (" + rows.length + " in total)" : "");
  }
  function select() {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = rows.filter(function (row) { return wanted.every(function (w) { return text(row).includes(w); }); });
    page = 0;
    show();
  }
  filter.addEventListener("input", select);
  back.addEventListener("click", function () { page -= 1; show(); });
  next.addEventListener("click", function () { page += 1; show(); });
  sortable(table, data.numeric, function (k, numeric, down) {
    rows = ordered(rows, function (row) { return row[k] === null ? "" : String(row[k]); }, numeric, down);
    select();
  });
  show();
}

// ---- keyboard focus stops only at elements that scroll

function stops() {
  document.querySelectorAll(".scroll, .drawing.wide").forEach(function (scroll) {
    if (scroll.scrollWidth > scroll.clientWidth) scroll.tabIndex = 0; else scroll.removeAttribute("tabindex");
  });
}
window.addEventListener("resize", stops);
document.addEventListener("toggle", stops, true);
