// Where figures come from: rows of cells.csv, and what they have in common.

/** The value of a column in a row of cells.csv. */
function cell(name, row) {
  const column = D.cells[name];
  if (column === undefined) return null;
  return Array.isArray(column) ? column[row] : column.values[column.rows[row]];
}

/** What a row is, what it gave, and who measured it; other columns follow these. */
const FIRST = ["label", "method", "solver", "order", "normalised", "grid", "coefficients", "threshold", "nfe", "nfe_measured", "seed", "samples"];
const LAST = ["diverged", "device", "build", "key"];

function columnsOf() {
  const all = Object.keys(D.cells).filter((name) => name !== "experiment");
  const others = all.filter((name) => !FIRST.includes(name) && !LAST.includes(name));
  return [...FIRST, ...others, ...LAST].filter((name) => all.includes(name));
}

const MOST = 6;

function showProvenance(title, text, cells) {
  const dialog = document.getElementById("provenance");
  const shown = cells.slice(0, MOST);
  const row = (name) => {
    const values = shown.map((row) => cell(name, row));
    if (values.every((value) => value === null || value === "")) return null;
    const same = values.every((value) => value === values[0]);
    const entry = (value, span) => h("td", { colspan: span }, h("code", {}, value === null ? "" : String(value)));
    return h("tr", {}, h("th", { scope: "row" }, name), same ? entry(values[0], shown.length) : values.map((value) => entry(value, 1)));
  };
  const first = shown[0];
  const build = String(cell("build", first) ?? "");
  // The program's sources of then; the experiment's file may be younger than they are.
  const commit = /^[0-9a-f]{7,}$/.test(build) ? `git checkout ${build.slice(0, 12)} -- crates Cargo.toml Cargo.lock\n` : "";
  // All that tells a cell from the others, quoted: labels have spaces.
  const keys = ["method", "order", "grid", "coefficients", "threshold", "nfe", "seed"];
  const known = keys.map((key) => [key, cell(key, first)]).filter(([, value]) => value !== null && value !== "");
  const selection = `'${known.map(([key, value]) => `${key}=${value}`).join(",").replaceAll("'", "'\\''")}'`;
  const again = `${commit}cargo run --release -- sweep experiments/${D.experiment}.toml --only ${selection} --out out/again`;
  const own = cell("solver", first) !== "solution";
  dialog.replaceChildren(
    h("form", { method: "dialog" }, h("button", { class: "close", "aria-label": "Close" }, "×")),
    h("h2", { id: "provenance-title" }, title),
    h("p", { class: "value" }, text),
    h("p", { class: "muted" }, cells.length === 1 ? "One row of cells.csv:" : `${cells.length} rows of cells.csv${cells.length > MOST ? `, of which ${MOST} are shown` : ""}:`),
    h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "rows" }, h("caption", { class: "unseen" }, `Rows of cells.csv behind ${text}`), h("tbody", {}, columnsOf().map(row)))),
    h("p", { class: "muted" }, "All of them:"),
    sections(),
    own ? h("div", {}, h("p", { class: "muted" }, "The same cell again:"), h("pre", {}, again), h("button", { type: "button", class: "toggle", onclick: () => copy(again, "Command") }, "Copy command")) : null,
  );
  dialog.showModal();
}

/** What provenance.toml says of the folder. */
function sections() {
  const list = (section) => [h("h3", {}, section.title), h("dl", {}, section.entries.map(([name, value]) => [h("dt", {}, name), h("dd", {}, h("code", {}, value))]))];
  return h("div", { class: "sections" }, D.provenance.map(list));
}

document.getElementById("provenance").addEventListener("click", (event) => {
  // Beside the box is the dialog itself.
  if (event.target.id === "provenance") event.target.close();
});
