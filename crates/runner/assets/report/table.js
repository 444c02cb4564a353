// The table of all methods: filtered, sorted, folded into families; and the same as Markdown and LaTeX.

const label = (row) => D.methods[row.method].label;
const valueAt = (row, i) => row.entries[i]?.value ?? Infinity;

/** Rows that the filters leave, in the order that is asked for. */
function rowsShown() {
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (row) => {
    const method = D.methods[row.method];
    const text = `${method.label} ${method.family} ${method.grid}`.toLowerCase();
    return words.every((word) => text.includes(word))
      && (!state.grid || method.grid === state.grid)
      && (state.normalised === "all" || method.normalised === (state.normalised === "with"));
  };
  return sorted(metric().rows.filter(fits));
}

function sorted(rows) {
  const { column, down } = state.sort;
  if (column === -1) return rows;
  const order = column === "name"
    ? (a, b) => label(a).localeCompare(label(b))
    : (a, b) => valueAt(a, column) - valueAt(b, column) || 0;
  const all = [...rows].sort(order);
  return down ? all.reverse() : all;
}

/** Families in the order of their first row. */
function families(rows) {
  const all = new Map();
  for (const row of rows) {
    const name = D.methods[row.method].family;
    if (!all.has(name)) all.set(name, []);
    all.get(name).push(row);
  }
  return all;
}

const LOWEST = "the lowest, or not told apart from it";

function entryCell(row, i) {
  const entry = row.entries[i];
  if (!entry) return h("td", {});
  const title = `${label(row)}, ${metric().nfes[i]} NFE, ${metric().name}`;
  const spent = entry.spent === undefined ? null : ` (${entry.spent})`;
  return h("td", { class: entry.diverged ? "diverged" : false }, figure(entry.text, entry.cells, title, entry.strong, entry.strong ? LOWEST : ""), spent);
}

function methodRow(row, inFamily) {
  const method = D.methods[row.method];
  const box = h("input", {
    type: "checkbox",
    "aria-label": `Draw ${method.label} in the chart`,
    style: `accent-color:${colour(method.colour)}`,
    onchange: (event) => {
      if (event.target.checked) state.drawn.add(row.method);
      else state.drawn.delete(row.method);
      drawValues();
    },
  });
  box.checked = state.drawn.has(row.method);
  const name = h("th", { scope: "row" }, h("label", {}, box, h("span", { class: "swatch", style: `background:${colour(method.colour)}` }), method.label));
  return h("tr", { class: inFamily ? "member" : false, "data-method": method.label }, name, metric().nfes.map((_, i) => entryCell(row, i)));
}

/** A family's row: the best of its members in each column. */
function familyRow(name, rows) {
  const isOpen = state.open.has(name);
  const button = h("button", {
    type: "button",
    class: "fold",
    "aria-expanded": String(isOpen),
    onclick: () => {
      if (isOpen) state.open.delete(name);
      else state.open.add(name);
      drawTable();
      document.querySelector(`[data-family="${CSS.escape(name)}"] .fold`)?.focus();
    },
  }, `${name} (${rows.length})`);
  const best = metric().nfes.map((nfe, i) => {
    const row = rows.reduce((a, b) => (valueAt(b, i) < valueAt(a, i) ? b : a));
    const entry = row.entries[i];
    if (!entry || entry.value === null) return h("td", {});
    const title = `${label(row)}, the lowest of ${name}, ${nfe} NFE`;
    return h("td", {}, figure(entry.text, entry.cells, title, entry.strong, entry.strong ? LOWEST : ""), h("small", {}, label(row)));
  });
  return h("tr", { class: "family", "data-family": name }, h("th", { scope: "rowgroup" }, button), best);
}

function headCell(text, column) {
  const { column: by, down } = state.sort;
  const sort = by === column ? (down ? "descending" : "ascending") : "none";
  const click = () => {
    state.sort = { column, down: by === column && !down };
    drawTable();
    document.querySelector(`[data-column="${column}"] button`)?.focus();
  };
  return h("th", { scope: "col", "aria-sort": sort, "data-column": column }, h("button", { type: "button", class: "sort", onclick: click }, text));
}

function drawTable() {
  const { nfes, floor, name, title } = metric();
  const rows = rowsShown();
  const head = h("tr", {}, headCell("method", "name"), nfes.map((nfe, i) => headCell(`${nfe}`, i)));
  const bodies = [];
  if (floor) {
    const about = h("th", { scope: "row", class: "floor" }, floor.text.split(": ").slice(0, -1).join(": "));
    const text = floor.text.split(": ").at(-1);
    bodies.push(h("tbody", {}, h("tr", { class: "floor" }, about, h("td", { colspan: nfes.length }, figure(text, floor.cells, "What the solution itself is at")))));
  }
  if (state.folded) {
    for (const [family, members] of families(rows)) {
      const shown = state.open.has(family) ? members.map((row) => methodRow(row, true)) : [];
      bodies.push(h("tbody", {}, familyRow(family, members), shown));
    }
  } else bodies.push(h("tbody", {}, rows.map((row) => methodRow(row, false))));
  const about = caption(`${title} (${name}) by number of network evaluations; lower is better; ${rows.length} of ${metric().rows.length} methods. In bold the lowest, and what is not told apart from it.`);
  document.getElementById("values").replaceChildren(h("table", { class: "values" }, about, h("thead", {}, head), bodies));
  say(`${rows.length} methods`);
}

/** Header and rows of the methods that the table shows, unfolded, with what they are and the row of the solution itself. */
function tableTexts() {
  const line = (row) => [label(row), ...row.entries.map((entry) => entry && { ...entry, text: entry.text + (entry.spent === undefined ? "" : ` (${entry.spent})`) })];
  const { floor, nfes, title, name } = metric();
  const about = `${title} (${name}), ${D.title}; lower is better; in bold the lowest, and what is not told apart from it.`;
  const words = floor && { about: floor.text.split(": ").slice(0, -1).join(": "), text: floor.text.split(": ").at(-1) };
  return { about, floor: words, head: ["method", ...nfes.map(String)], rows: rowsShown().map(line) };
}

function markdown({ about, floor, head, rows }) {
  const text = (entry) => (typeof entry === "string" ? entry : !entry ? "" : entry.strong ? entry.text.replace(/^\S+/, "**$&**") : entry.text);
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const solution = floor ? [line([`*${floor.about}*`, ...head.slice(1).map(() => `*${floor.text}*`)])] : [];
  return [about, "", line(head), `|---|${"---:|".repeat(head.length - 1)}`, ...solution, ...rows.map((row) => line(row.map(text)))].join("\n") + "\n";
}

const TEX = { "&": "\\&", "%": "\\%", _: "\\_", "#": "\\#", "±": "$\\pm$", "−": "$-$", "–": "--", ρ: "$\\rho$", η: "$\\eta$", ε: "$\\varepsilon$", τ: "$\\tau$", "×": "$\\times$" };

function latex({ about, floor, head, rows }) {
  const escape = (text) => text.replace(/[&%_#±−–ρηετ×]/g, (sign) => TEX[sign]).replace(/(\d)e-(\d+)/g, "$1\\cdot10^{-$2}").replace(/([\d.]+\\cdot10\^\{-\d+\})/g, "$$$1$$");
  const text = (entry) => {
    if (typeof entry === "string") return escape(entry);
    if (!entry) return "";
    return entry.strong ? escape(entry.text).replace(/^\S+/, "\\textbf{$&}") : escape(entry.text);
  };
  const line = (cells) => `    ${cells.join(" & ")} \\\\`;
  return [
    `% ${about}`,
    "% \\usepackage{booktabs}",
    `\\begin{tabular}{l${"r".repeat(head.length - 1)}}`,
    "    \\toprule",
    line(head),
    "    \\midrule",
    ...(floor ? [`    \\textit{${escape(floor.about)}} & \\multicolumn{${head.length - 1}}{c}{\\textit{${escape(floor.text)}}} \\\\`] : []),
    ...rows.map((row) => line(row.map(text))),
    "    \\bottomrule",
    "\\end{tabular}",
    "",
  ].join("\n");
}
