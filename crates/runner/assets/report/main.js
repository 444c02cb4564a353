// The page: its parts in order, and what redraws them.

const section = (id, title, ...content) => h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), content);

function sentence(parts) {
  const whole = parts.map((part) => part.text ?? part).join("");
  return parts.map((part) => (typeof part === "string" ? part : figure(part.text, part.cells, whole, true)));
}

function drawFinding() {
  const [first, ...others] = metric().finding;
  const normalisation = others.find((parts) => typeof parts[0] === "string" && parts[0].startsWith("Score normalisation"));
  const rest = others.filter((parts) => parts !== normalisation);
  document.getElementById("found").replaceChildren(
    h("p", { class: "lead" }, first ? sentence(first) : "Nothing is measured."),
    normalisation ? h("p", { class: "lead" }, sentence(normalisation)) : "",
    rest.length ? h("details", {}, h("summary", {}, "With other numbers of evaluations"), h("ul", {}, rest.map((parts) => h("li", {}, sentence(parts))))) : "",
    h("div", { class: "notes" }, metric().notes.map((note) => h("p", { class: "muted" }, note))),
  );
}

function drawAll() {
  drawFinding();
  document.getElementById("chart-title").textContent = `${metric().title} over evaluations`;
  drawValues();
  drawTable();
  drawChanges();
  drawHeat();
}

function setMetric(i) {
  state.metric = i;
  // What is drawn stays with the methods; where a metric has none of them, it is its own choice.
  const measured = new Set(metric().rows.map((row) => row.method));
  if (![...state.drawn].some((method) => measured.has(method))) chooseDrawn();
  drawAll();
}

function chooseDrawn() {
  state.drawn = new Set(metric().rows.filter((row) => row.drawn).map((row) => row.method));
}

function select(name, values, change) {
  return h("label", {}, `${name} `, h("select", { onchange: (event) => change(event.target.value) }, values.map(([value, text]) => h("option", { value }, text))));
}

function controls() {
  const grids = [...new Set(D.methods.map((method) => method.grid))];
  const redraw = (name) => (value) => {
    state[name] = value;
    drawTable();
  };
  return h("div", { class: "bar", role: "search", "aria-label": "Filter of the table" },
    h("label", {}, "Filter ", h("input", { type: "search", id: "filter", placeholder: "method, family, grid", oninput: (event) => redraw("filter")(event.target.value) })),
    D.methods.some((method) => method.normalised) ? select("Score normalisation", [["all", "with and without"], ["with", "with"], ["without", "without"]], redraw("normalised")) : null,
    grids.length > 1 ? select("Grid", [["", "all"], ...grids.map((grid) => [grid, grid])], redraw("grid")) : null,
    D.methods.length > 12 ? toggle("Fold families", state.folded, redraw("folded")) : null,
    h("button", { type: "button", class: "toggle", onclick: () => { state.drawn = new Set(rowsShown().slice(0, 14).map((row) => row.method)); drawValues(); drawTable(); } }, "Draw these"),
    h("button", { type: "button", class: "toggle", onclick: () => { chooseDrawn(); drawValues(); drawTable(); } }, "Draw the best"),
    h("button", { type: "button", class: "toggle", id: "copy-markdown", onclick: () => copy(markdown(tableTexts()), "Markdown table") }, "Copy Markdown"),
    h("button", { type: "button", class: "toggle", id: "copy-latex", onclick: () => copy(latex(tableTexts()), "LaTeX table") }, "Copy LaTeX"),
  );
}

function build() {
  const set = (name) => (on) => { state[name] = on; drawValues(); };
  const theme = h("button", { type: "button", class: "toggle theme", onclick: () => {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "other" ? "" : "other";
    drawAll();
    drawCurve();
  } }, "Light/dark");
  document.getElementById("page").replaceChildren(
    h("header", {}, theme, h("p", { class: "kicker" }, `fewstep · ${D.experiment}`), h("h1", {}, D.title), h("p", { class: "muted" }, D.summary),
      D.metrics.length > 1 ? h("div", { class: "bar metrics" }, h("span", {}, "Metric"), choice("Metric", D.metrics.map((metric) => metric.name), 0, setMetric)) : null),
    section("finding", "What was found", h("div", { id: "found" })),
    section("chart-section", "", h("div", { class: "bar" }, toggle("Logarithmic", state.logY, set("logY")), toggle("Logarithmic NFE", state.logX, set("logX")), toggle("Error bands", state.bands, (on) => { set("bands")(on); drawChanges(); }),
        h("span", { id: "published-toggle", hidden: true }, toggle("Published by others", state.published, set("published")))),
      h("div", { id: "chart", class: "chart" }), h("p", { class: "muted" }, "Bands reach two standard errors to either side; hollow marks: with score normalisation; grey: below what the solution itself has. Choose lines in the table."),
      h("p", { class: "muted", id: "published-note", hidden: true }, "Dotted: published by others, with networks, numbers of images and FID programs (protocols) of their own, which each point says. FID depends on all three: what may be compared is how a line falls with evaluations, and not its height."), h("div", { id: "chart-table" })),
    section("table-section", "Every method", controls(), h("div", { id: "values", class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of all methods" })),
    section("changes", "What score normalisation changes", h("div", { id: "changes-chart", class: "chart" }), h("div", { id: "changes-table" })),
    section("heat", "Solvers and grids", h("div", { class: "bar", id: "heat-nfe" }), h("div", { id: "heat-table", class: "scroll", tabindex: "0" })),
    D.samples ? section("samples", "Samples from the same noise", samplesSection()) : "",
    D.curve ? section("curve", "The score's curve", h("div", { id: "curve-chart", class: "chart" }), h("p", { class: "muted" }, D.curve.comments.join("; ") || "", ` SHA-256 of normaliser.csv: ${D.curve.sha256}`), h("div", { id: "curve-table" })) : "",
    D.published.length ? section("published", "Published by others", h("div", { class: "scroll", tabindex: "0" }, publishedTable())) : "",
    section("origin", "Where it all comes from", h("p", { class: "muted" }, "Every figure that this folder's cells gave can be clicked, in sentences, tables and charts: it names its rows of cells.csv, with their build, key, seed and device. Those of others have their source beside them, and the score's curve the hash of its file."), sections()),
  );
  const title = document.getElementById("chart-section-title");
  title.id = "chart-title";
  document.getElementById("chart-section").setAttribute("aria-labelledby", "chart-title");
  if (!D.metrics.length) return;
  chooseDrawn();
  drawAll();
  drawCurve();
}

build();

let width = innerWidth;
addEventListener("resize", () => {
  // Scrolling on a phone changes the height alone.
  if (innerWidth === width) return;
  width = innerWidth;
  drawValues();
  drawChanges();
  drawCurve();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawAll(); drawCurve(); });
addEventListener("beforeprint", () => {
  // Paper has every method.
  if (state.folded) {
    families(rowsShown()).forEach((_, name) => state.open.add(name));
    drawTable();
  }
  document.querySelectorAll("details").forEach((details) => (details.open = true));
});
