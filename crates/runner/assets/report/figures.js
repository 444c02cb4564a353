// The other figures: what score normalisation changes, solvers on grids, the score's curve, and what others published.

const DASHES = [undefined, [9, 4], [3, 3], [9, 3, 3, 3]];

/** Lines over evaluations for the chart of values. */
function valueLines() {
  const rows = metric().rows.filter((row) => state.drawn.has(row.method));
  const times = new Map();
  return rows.map((row) => {
    const method = D.methods[row.method];
    // One method on several grids has one colour, and a dash for each grid.
    const before = times.get(method.colour.join()) ?? 0;
    times.set(method.colour.join(), before + 1);
    const points = row.entries.flatMap((entry, i) => {
      if (!entry || entry.value === null) return [];
      return [{ x: entry.spent ?? metric().nfes[i], y: entry.value, error: entry.error, text: entry.text, cells: entry.cells }];
    });
    return { label: method.label, colour: colour(method.colour), hollow: method.normalised, dash: DASHES[before % DASHES.length], points };
  });
}

/** Whether others published figures of the metric that is shown. */
const hasPublished = () => metric().name === "fid" && D.published.some((row) => inSight(row));
const inSight = (row) => row.nfe >= Math.min(...metric().nfes) && row.nfe <= Math.max(...metric().nfes);

/** What of a published row tells it from others: its method and whatever its source says of how it ran. */
const publishedKey = ({ source, method, model, grid, afs, threshold, tool, samples }) => JSON.stringify([source, method, model, grid, afs, threshold, tool, samples]);
const publishedLabel = ({ method, grid, afs, threshold }) =>
  [method, afs === "yes" && "AFS", threshold && threshold !== "none" && `threshold ${threshold}`, grid && `grid ${grid}`].filter(Boolean).join(", ");

/** One dotted line a method, network and source, of the evaluations that the chart has. */
function publishedLines() {
  const lines = new Map();
  for (const row of D.published.filter(inSight)) {
    const key = publishedKey(row);
    if (!lines.has(key)) lines.set(key, { label: `${publishedLabel(row)}, published`, long: `${publishedLabel(row)} [${row.model}]`, colour: style("--muted"), dash: [2, 4], hollow: true, points: [] });
    lines.get(key).points.push({ x: row.nfe, y: row.fid, text: `${row.fid}, ${row.model}, ${row.samples} images, FID by ${row.tool || "what is not said"}; ${row.source}`, cells: [] });
  }
  for (const line of lines.values()) line.points.sort((a, b) => a.x - b.x);
  return [...lines.values()];
}

function drawValues() {
  const { title, name, floor, nfes } = metric();
  document.getElementById("published-toggle").hidden = !hasPublished();
  const shown = state.published && hasPublished();
  document.getElementById("published-note").hidden = !shown;
  const lines = [...valueLines(), ...(shown ? publishedLines() : [])];
  const options = { x: "network evaluations (NFE)", y: title, name, unit: "NFE", logX: state.logX, logY: state.logY, floor: floor?.value, ticks: nfes };
  lineChart(document.getElementById("chart"), lines, options);
  document.getElementById("chart-table").replaceChildren(chartTable(`${title}, the methods of the chart`, lines, nfes, "network evaluations spent"));
}

function drawChanges() {
  const section = document.getElementById("changes");
  const { changes, nfes, name } = metric();
  section.hidden = !changes.length;
  if (!changes.length) return;
  const size = (change) => Math.max(...change.entries.map((entry) => Math.abs(entry?.value ?? 0)));
  const shown = [...changes].sort((a, b) => state.drawn.has(b.without) - state.drawn.has(a.without) || size(b) - size(a)).slice(0, 10);
  const lines = shown.map((change) => {
    const method = D.methods[change.without];
    const points = change.entries.flatMap((entry, i) => (entry ? [{ x: nfes[i], y: entry.value, error: entry.error, text: entry.text, cells: entry.cells }] : []));
    return { label: method.label, colour: colour(method.colour), points };
  });
  lineChart(document.getElementById("changes-chart"), lines, { x: "network evaluations (NFE)", y: `change of ${name} in %`, unit: "NFE", zero: true, ticks: nfes, height: 340 });
  const row = (change) => h("tr", {}, h("th", { scope: "row" }, D.methods[change.method].label), change.entries.map((entry, i) => {
    if (!entry) return h("td", {}, "–");
    const title = `${D.methods[change.method].label} against ${D.methods[change.without].label}, ${nfes[i]} NFE`;
    const text = entry.strong ? entry.text : `(${entry.text})`;
    return h("td", {}, figure(text, entry.cells, title));
  }));
  const head = h("tr", {}, h("th", { scope: "col" }, "method"), nfes.map((nfe) => h("th", { scope: "col" }, String(nfe))));
  const about = caption(`Change of ${name} by score normalisation in percent, paired, ± standard error; in brackets what is not beyond its error, or is less than the solution's; –, except of distances to data, what does not lie above the solution's own.`);
  const table = h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "values" }, about, h("thead", {}, head), h("tbody", {}, changes.map(row))));
  const fold = h("details", { class: "data", open: changes.length <= 12 }, h("summary", {}, changes.length === 1 ? "The figures as a table" : `All ${changes.length} pairs as a table`), table);
  document.getElementById("changes-table").replaceChildren(fold);
}

/** Viridis, from its dark end: a few of its colours, and straight lines between. */
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
function viridis(share) {
  const at = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1);
  const i = Math.min(VIRIDIS.length - 2, Math.floor(at));
  return VIRIDIS[i].map((value, c) => Math.round(value + (at - i) * (VIRIDIS[i + 1][c] - value)));
}

/** What frames say to the eye. */
const FRAMES = { "": "", best: "the best grid of this solver", lowest: "the lowest of all" };

let heatAt = 0;
function drawHeat() {
  const section = document.getElementById("heat");
  const { heat, nfes } = metric();
  section.hidden = !heat;
  if (!heat) return;
  heatAt = Math.min(heatAt, nfes.length - 1);
  const entry = (method) => (method === null ? null : rowOf(method)?.entries[heatAt] ?? null);
  const entries = heat.methods.map((row) => row.map(entry));
  const values = entries.flat().map((entry) => entry?.value).filter((value) => value > 0);
  const [low, high] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  const lowest = Math.min(...values);
  const row = (solver, i) => {
    const best = Math.min(...entries[i].map((entry) => entry?.value ?? Infinity));
    return h("tr", {}, h("th", { scope: "row" }, solver), entries[i].map((entry, j) => {
      if (!entry) return h("td", {});
      if (entry.value === null) return h("td", { class: "diverged" }, figure("diverged", entry.cells, `${solver} on ${heat.grids[j]}`));
      const rgb = viridis(1 - (Math.log(entry.value) - low) / (high - low || 1));
      const light = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2] > 130;
      const frame = entry.value === lowest ? "lowest" : entry.value === best ? "best" : "";
      const text = entry.text.split(" ")[0] + (entry.spent === undefined ? "" : "*");
      return h("td", { class: frame, style: `background:rgb(${rgb.join(" ")});color:${light ? "#000" : "#fff"}` }, figure(text, entry.cells, `${solver} on ${heat.grids[j]}, ${nfes[heatAt]} NFE: ${entry.text}`, false, FRAMES[frame]));
    }));
  };
  const head = h("tr", {}, h("th", { scope: "col" }, "solver"), heat.grids.map((grid) => h("th", { scope: "col" }, grid)));
  const about = caption(`${metric().title} at ${nfes[heatAt]} NFE. Bright is small; framed: the best grid of a row; framed thick: the lowest of all. *: fewer evaluations spent.`);
  document.getElementById("heat-table").replaceChildren(h("table", { class: "heat" }, about, h("thead", {}, head), h("tbody", {}, heat.solvers.map(row))));
  document.getElementById("heat-nfe").replaceChildren(choice("Network evaluations of the map", nfes.map((nfe) => `${nfe} NFE`), heatAt, (i) => { heatAt = i; drawHeat(); }));
}

function drawCurve() {
  if (!D.curve) return;
  const { tau, r, sigma } = D.curve;
  const of = (label, rgb, values, dashed) => ({
    label, dash: dashed ? [6, 4] : undefined, colour: colour(rgb),
    points: tau.map((x, i) => ({ x, y: values[i], text: Number(values[i].toPrecision(4)).toString(), cells: [] })),
  });
  const lines = [of("r = mean |ε| = σ|s|", [0, 90, 170], r)];
  if (sigma) lines.push(of("|s| = r/σ", [200, 100, 0], r.map((value, i) => value / sigma[i]), true));
  lineChart(document.getElementById("curve-chart"), lines, { x: "τ", y: "mean over pixels and images", before: "τ = ", logX: true, logY: true, dense: true, height: 320 });
  const some = tau.filter((_, i) => i % Math.ceil(tau.length / 12) === 0);
  document.getElementById("curve-table").replaceChildren(chartTable("Mean absolute score, some of the points", lines, some, "τ"));
}

/** Published figures: never mixed with ours, each with its network. */
function publishedTable() {
  const nfes = [...new Set(D.published.map((row) => row.nfe))].sort((a, b) => a - b);
  const lines = new Map();
  for (const row of D.published) {
    const key = publishedKey(row);
    if (!lines.has(key)) lines.set(key, { row, values: new Map() });
    lines.get(key).values.set(row.nfe, row.fid);
  }
  const head = ["method", "network", "grid", "AFS", "threshold", "FID by", "images", ...nfes.map(String), "source"];
  const body = [...lines.values()].map(({ row, values }) => h("tr", {}, h("th", { scope: "row" }, row.method), [row.model, row.grid, row.afs, row.threshold, row.tool].map((word) => h("td", { class: "words" }, word || "not stated")), h("td", {}, String(row.samples)), nfes.map((nfe) => h("td", {}, values.get(nfe) ?? "")), h("td", { class: "words" }, row.source)));
  const about = caption("FID as others published it, with their own networks: no figure of this table is comparable with ours, nor with another source's.");
  return h("table", { class: "values" }, about, h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, body));
}
