// A page of results without cells: charts to choose from, pictures, tables that sort and filter, and where it all comes from.

const plain = { chart: 0, filter: "", sorts: D.tables.map(() => ({ column: -1, down: false })) };
state.logY = D.charts[0]?.log_y ?? true;

const section = (id, title, ...content) => h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), content);

const PATTERNS = [undefined, [9, 4], [3, 3], [9, 3, 3, 3], [14, 4], [2, 6]];

/** Lines of one colour have dashes of their own; others' are dashed anyway. */
function plainLines(chart) {
  const times = new Map();
  return chart.lines.map((line) => {
    const key = `${line.colour.join()} ${line.dashed}`;
    const before = times.get(key) ?? 0;
    times.set(key, before + 1);
    const points = line.x.map((x, i) => {
      const [y, error] = [line.y[i], line.errors[i]];
      const text = y === null ? "" : `${Number(y.toPrecision(4))}${error ? ` ± ${Number(error.toPrecision(2))}` : ""}`;
      return { x, y, error, text, cells: [] };
    });
    return { label: line.label, colour: colour(line.colour), dash: line.dashed ? [6, 4] : PATTERNS[before % PATTERNS.length], hollow: line.hollow, points };
  });
}

/** Some of many. */
const SOME = 12;
const thinned = (all) => all.filter((_, i) => i % Math.ceil(all.length / SOME) === 0);

function drawPlain() {
  const chart = D.charts[plain.chart];
  if (!chart) return;
  const lines = plainLines(chart);
  const xs = [...new Set(lines.flatMap((line) => line.points.map((point) => point.x)))].sort((a, b) => a - b);
  const ticks = xs.length <= SOME ? xs : undefined;
  // A letter stands in front of its value, a word behind.
  const read = chart.x.length === 1 ? { before: `${chart.x} = ` } : { unit: chart.x };
  lineChart(document.getElementById("chart"), lines, { x: chart.x, y: chart.y, ...read, logX: chart.log_x, logY: state.logY, dense: chart.dense, ticks, nothing: "Nothing to draw." });
  // Of dense lines each has its own places.
  const shown = chart.dense ? thinned([...new Set(lines.flatMap((line) => thinned(line.points).map((point) => point.x)))].sort((a, b) => a - b)) : xs;
  document.getElementById("chart-table").replaceChildren(chartTable(chart.dense ? `${chart.name}, some of the points` : chart.name, lines, shown, chart.x, chart.dense));
}

/** What a text begins with, as a number. */
const leading = (text) => Number.parseFloat(text.replace("−", "-"));

function plainTable(table, i) {
  const { column, down } = plain.sorts[i];
  const isWords = table.columns.map((_, c) => table.rows.some((row) => row[c] !== "" && Number.isNaN(leading(row[c]))));
  const words = plain.filter.toLowerCase().split(/\s+/).filter(Boolean);
  let rows = table.rows.filter((row) => words.every((word) => row.join(" ").toLowerCase().includes(word)));
  if (column >= 0) {
    const order = isWords[column] ? (a, b) => a[column].localeCompare(b[column]) : (a, b) => leading(a[column]) - leading(b[column]);
    // What is empty comes last either way.
    const [known, empty] = [rows.filter((row) => row[column] !== ""), rows.filter((row) => row[column] === "")];
    rows = [...known.sort((a, b) => (down ? order(b, a) : order(a, b))), ...empty];
  }
  const head = table.columns.map((name, c) => {
    const click = () => {
      plain.sorts[i] = { column: c, down: column === c && !down };
      drawTables();
      document.querySelector(`#table-${i} [data-column="${c}"] button`)?.focus();
    };
    return h("th", { scope: "col", class: isWords[c] ? "words" : false, "data-column": c, "aria-sort": column === c ? (down ? "descending" : "ascending") : "none" }, h("button", { type: "button", class: "sort", onclick: click }, name));
  });
  const cellOf = (text, c) => (c === 0 ? h("th", { scope: "row" }, text) : h("td", { class: isWords[c] ? "words" : false }, text));
  const texts = { about: table.about, floor: null, head: table.columns, rows };
  const copies = h("div", { class: "bar" },
    h("button", { type: "button", class: "toggle", onclick: () => copy(markdown(texts), "Markdown table") }, "Copy Markdown"),
    h("button", { type: "button", class: "toggle", onclick: () => copy(latex(texts), "LaTeX table") }, "Copy LaTeX"));
  const about = caption(`${table.about}${words.length ? `; ${rows.length} of ${table.rows.length} rows` : ""}`);
  return h("div", {}, copies, h("div", { id: `table-${i}`, class: "scroll", tabindex: "0", role: "region", "aria-label": table.about }, h("table", { class: "values" }, about, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cellOf)))))));
}

function drawTables() {
  document.getElementById("tables")?.replaceChildren(...D.tables.map(plainTable));
}

/** Rows from which on a filter helps. */
const MANY = 20;

function build() {
  const logarithmic = toggle("Logarithmic", state.logY, (on) => { state.logY = on; drawPlain(); });
  const pick = (i) => {
    plain.chart = i;
    state.logY = D.charts[i].log_y;
    logarithmic.setAttribute("aria-pressed", String(state.logY));
    drawPlain();
  };
  const theme = h("button", { type: "button", class: "toggle theme", onclick: () => {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "other" ? "" : "other";
    drawPlain();
  } }, "Light/dark");
  const names = D.charts.map((chart) => chart.name);
  const choose = names.length < 2 ? null : names.length < 5 ? choice("Chart", names, 0, pick)
    : h("label", {}, "Chart ", h("select", { id: "which", onchange: (event) => pick(Number(event.target.value)) }, names.map((name, i) => h("option", { value: i }, name))));
  const hasErrors = D.charts.some((chart) => chart.lines.some((line) => line.errors.length));
  const bands = hasErrors ? toggle("Error bands", state.bands, (on) => { state.bands = on; drawPlain(); }) : null;
  const filter = D.tables.some((table) => table.rows.length > MANY)
    ? h("div", { class: "bar", role: "search" }, h("label", {}, "Filter ", h("input", { type: "search", id: "filter", oninput: (event) => { plain.filter = event.target.value; drawTables(); } }))) : null;
  document.getElementById("page").replaceChildren(
    h("header", {}, theme, h("p", { class: "kicker" }, `fewstep · ${D.experiment}`), h("h1", {}, D.title), h("p", { class: "muted" }, D.about)),
    section("finding", "What was found", D.found.map((text) => h("p", { class: "lead" }, text))),
    D.charts.length ? section("chart-section", "Chart", h("div", { class: "bar" }, choose, logarithmic, bands), h("div", { id: "chart", class: "chart" }), hasErrors ? h("p", { class: "muted" }, "Bands reach two standard errors to either side.") : "", h("div", { id: "chart-table" })) : "",
    D.pictures.length ? section("pictures", "Pictures", D.pictures.map((picture) => h("figure", {}, h("img", { class: "whole", src: picture.source, alt: picture.about }), h("figcaption", {}, picture.about)))) : "",
    D.tables.length ? section("table-section", "Figures", filter, h("div", { id: "tables" })) : "",
    D.links.length ? section("links", "Beside it", h("ul", {}, D.links.map(([name, about]) => h("li", {}, h("a", { href: `${name}.html` }, about), " ", h("code", {}, `results/${name}`))))) : "",
    D.provenance.length ? section("origin", "Where it all comes from", sections()) : "",
  );
  drawPlain();
  drawTables();
}

build();

let width = innerWidth;
addEventListener("resize", () => {
  // Scrolling on a phone changes the height alone.
  if (innerWidth === width) return;
  width = innerWidth;
  drawPlain();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawPlain);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => (details.open = true)));
