// Line charts on uPlot: bands of two standard errors, names where lines end, and a card for the nearest point.

const REACH = 2;
/** Narrower than this, names stand below the chart and not at the ends of its lines. */
const NARROW = 620;
/** Room that names at the ends of lines may take; longer ones stand below too. */
const NAMES = 264;

/**
 * Draws `lines`: [{label, colour, dash, hollow, points: [{x, y, error, text, cells, title}]}], x ascending.
 * Options: x, y (names), name (a shorter one of y), logX, logY, floor, ticks (values of x to label), zero (whether 0 is in sight), height.
 */
function lineChart(host, lines, options) {
  host.replaceChildren();
  const width = Math.max(260, host.clientWidth);
  const widest = Math.max(0, ...lines.map((line) => textWidth(line.label)));
  const beside = width >= NARROW && lines.length <= 14 && widest <= NAMES;
  const seen = (point) => Number.isFinite(point.y) && (!options.logY || point.y > 0) && (!options.logX || point.x > 0);
  const xs = [...new Set(lines.flatMap((line) => line.points.filter(seen).map((point) => point.x)))].sort((a, b) => a - b);
  if (!xs.length) {
    host.append(h("p", { class: "muted" }, options.nothing ?? "Nothing to draw: choose methods in the table below."));
    return null;
  }
  const at = new Map(xs.map((x, i) => [x, i]));
  const data = [xs, ...lines.map((line) => {
    const values = new Array(xs.length).fill(null);
    for (const point of line.points.filter(seen)) values[at.get(point.x)] = point.y;
    return values;
  })];
  const chart = new uPlot(config(lines, options, { width, beside, seen }), data, host);
  const card = h("div", { class: "card", hidden: true });
  chart.over.append(card);
  follow(chart, lines, options, seen, card);
  host.querySelector("canvas").setAttribute("aria-hidden", "true");
  if (!beside) host.append(legend(lines));
  return chart;
}

function config(lines, options, { width, beside, seen }) {
  const ink = style("--muted");
  const room = beside ? Math.min(NAMES + 16, 16 + Math.max(...lines.map((line) => textWidth(line.label)))) : 14;
  const height = options.height ?? (width < NARROW ? 300 : 420);
  // Beside the axis a long name would be cut off at both ends.
  const named = textWidth(options.y) > height - 100 ? options.name ?? options.y : options.y;
  const axis = { stroke: ink, grid: { stroke: style("--rule"), width: 1 }, ticks: { stroke: style("--rule"), size: 5 }, font: FONT, labelFont: FONT };
  return {
    width,
    height,
    padding: [14, room, 0, 0],
    legend: { show: false },
    cursor: { points: { show: false }, drag: { x: false, y: false }, y: false },
    scales: {
      x: { time: false, distr: options.logX ? 3 : 1, range: (_, low, high) => around(low, high, options.logX, 0.03) },
      y: { distr: options.logY ? 3 : 1, range: () => rangeOf(lines, options, seen) },
    },
    axes: [
      { ...axis, label: options.x, labelSize: 22, splits: (u, i, low, high) => apart(u, options.ticks ?? steps(low, high, options.logX)), filter: (_, all) => all, values: (_, all) => all.map(short) },
      { ...axis, label: named, labelSize: 22, size: 58, splits: (_, i, low, high) => steps(low, high, options.logY), filter: (_, all) => all, values: (_, all) => all.map(short) },
    ],
    series: [{}, ...lines.map((line) => ({
      label: line.label,
      stroke: line.colour,
      width: 2,
      dash: line.dash,
      spanGaps: true,
      points: { show: !options.dense, size: 6, fill: line.hollow ? style("--paper") : line.colour },
    }))],
    focus: { alpha: 0.25 },
    hooks: {
      drawAxes: [(u) => {
        drawFloor(u, options);
        if (state.bands) lines.forEach((line, i) => drawBand(u, line, u.series[i + 1].alpha ?? 1, options, seen));
      }],
      draw: [(u) => beside && drawNames(u, lines)],
    },
  };
}

const FONT = "12px system-ui, sans-serif";
const pen = document.createElement("canvas").getContext("2d");
function textWidth(text) {
  pen.font = FONT;
  return pen.measureText(text).width;
}

/** A range with some room on both sides. */
function around(low, high, log, share) {
  if (log) {
    const room = Math.max(1.05, (high / low) ** share);
    return [low / room, high * room];
  }
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

/** From the lowest to the highest of values and bands; a band that reaches almost to zero does not squeeze a logarithmic axis. */
function rangeOf(lines, options, seen) {
  const points = lines.flatMap((line) => line.points.filter(seen));
  const values = points.map((point) => point.y);
  const lowest = Math.min(...values);
  for (const point of points.filter((point) => point.error && state.bands)) {
    values.push(point.y + REACH * point.error);
    const low = point.y - REACH * point.error;
    values.push(options.logY ? Math.max(low, lowest / 2) : low);
  }
  if (options.zero || !options.logY) values.push(0);
  if (options.logY && options.floor >= lowest / 100) values.push(options.floor * 0.7);
  return around(Math.min(...values), Math.max(...values), options.logY, 0.05);
}

/** Round values of an axis. */
function steps(low, high, log) {
  if (!log || high / low < 2.5) {
    const raw = (high - low) / 6;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((step) => step >= raw);
    const all = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) all.push(Number((k * step).toPrecision(12)));
    return all;
  }
  const decades = Math.log10(high / low);
  const parts = decades < 1.2 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 3.2 ? [1, 2, 5] : [1];
  const all = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const part of parts) all.push(Number((part * 10 ** power).toPrecision(6)));
  }
  return all.filter((value) => value >= low && value <= high);
}

/** Ticks whose labels do not run into one another. */
function apart(u, ticks) {
  let last = -Infinity;
  return ticks.filter((tick) => {
    const x = u.valToPos(tick, "x");
    if (x < 0 || x - last < 12 + 7 * short(tick).length) return false;
    last = x;
    return true;
  });
}

function drawFloor(u, options) {
  if (!(options.floor > 0)) return;
  const { ctx, bbox } = u;
  const top = Math.max(bbox.top, u.valToPos(options.floor, "y", true));
  const bottom = options.logY ? bbox.top + bbox.height : u.valToPos(0, "y", true);
  if (top >= bbox.top + bbox.height) return;
  ctx.save();
  ctx.fillStyle = style("--soft");
  ctx.fillRect(bbox.left, top, bbox.width, Math.min(bottom, bbox.top + bbox.height) - top);
  ctx.restore();
}

function drawBand(u, line, alpha, options, seen) {
  const known = line.points.filter((point) => seen(point) && point.error > 0);
  if (!known.length) return;
  const { ctx, bbox } = u;
  const x = (point) => u.valToPos(point.x, "x", true);
  const y = (value) => (options.logY && value <= 0 ? bbox.top + bbox.height : u.valToPos(value, "y", true));
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = ctx.strokeStyle = line.colour;
  ctx.globalAlpha = 0.16 * alpha;
  ctx.beginPath();
  known.forEach((point) => ctx.lineTo(x(point), y(point.y + REACH * point.error)));
  [...known].reverse().forEach((point) => ctx.lineTo(x(point), y(point.y - REACH * point.error)));
  ctx.fill();
  if (!options.dense) {
    ctx.globalAlpha = 0.7 * alpha;
    ctx.lineWidth = devicePixelRatio;
    for (const point of known) {
      ctx.beginPath();
      ctx.moveTo(x(point), y(point.y - REACH * point.error));
      ctx.lineTo(x(point), y(point.y + REACH * point.error));
      ctx.stroke();
    }
  }
  ctx.restore();
}

/** Names where lines end, moved apart, each with a thread to its end where it had to move. */
function drawNames(u, lines) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const ends = lines.map((line, i) => {
    const values = u.data[i + 1];
    let last = values.length - 1;
    while (last >= 0 && values[last] === null) last--;
    return last < 0 ? null : { line, alpha: u.series[i + 1].alpha ?? 1, x: u.valToPos(u.data[0][last], "x", true), y: u.valToPos(values[last], "y", true) };
  });
  const names = ends.filter(Boolean).sort((a, b) => a.y - b.y);
  const gap = 14 * ratio;
  names.forEach((name, i) => (name.at = i ? Math.max(name.y, names[i - 1].at + gap) : name.y));
  const over = names.length ? names[names.length - 1].at - (bbox.top + bbox.height) : 0;
  if (over > 0) {
    let limit = bbox.top + bbox.height;
    for (const name of [...names].reverse()) {
      name.at = Math.min(name.at, limit);
      limit = name.at - gap;
    }
  }
  ctx.save();
  ctx.font = `${12 * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  const x = bbox.left + bbox.width + 10 * ratio;
  for (const { line, at, y, x: end, alpha } of names) {
    ctx.globalAlpha = alpha;
    ctx.strokeStyle = ctx.fillStyle = line.colour;
    ctx.lineWidth = ratio;
    ctx.beginPath();
    ctx.moveTo(end + 4 * ratio, y);
    ctx.lineTo(x - 2 * ratio, at);
    ctx.stroke();
    ctx.fillText(line.label, x, at);
  }
  ctx.restore();
}

/** The nearest point under a pointer, and a walk over all of them by arrow keys. */
function follow(u, lines, options, seen, card) {
  const where = (point) => `${options.before ?? ""}${exact(point.x)} ${options.unit ?? ""}`.trim();
  const place = (point) => ({ x: u.valToPos(point.x, "x"), y: u.valToPos(point.y, "y") });
  const show = (line, point) => {
    const { x, y } = place(point);
    card.hidden = false;
    card.replaceChildren(h("b", {}, lines[line].label), h("br"), `${where(point)}: ${point.text}`, h("br"), h("span", { class: "muted" }, point.cells.length ? "click: where it comes from" : ""));
    const left = x > u.over.clientWidth / 2 ? x - card.offsetWidth - 12 : x + 12;
    card.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, Math.min(y - 20, u.over.clientHeight - card.offsetHeight))}px)`;
    u.setSeries(line + 1, { focus: true });
  };
  const hide = () => {
    card.hidden = true;
    u.setSeries(null, { focus: true });
  };
  const open = (line, point) => point.cells.length && showProvenance(`${lines[line].label}, ${where(point)}`, point.text, point.cells);
  let here = null;
  const nearest = (left, top) => {
    let best = { distance: 40 };
    lines.forEach((line, i) => line.points.filter(seen).forEach((point) => {
      const { x, y } = place(point);
      const distance = Math.hypot(x - left, y - top);
      if (distance < best.distance) best = { distance, line: i, point };
    }));
    return best.point ? best : null;
  };
  u.over.addEventListener("pointermove", (event) => {
    const box = u.over.getBoundingClientRect();
    here = nearest(event.clientX - box.left, event.clientY - box.top);
    if (here) show(here.line, here.point);
    else hide();
  });
  u.over.addEventListener("pointerleave", hide);
  u.over.addEventListener("click", () => here && open(here.line, here.point));
  const sourced = lines.some((line) => line.points.some((point) => point.cells.length));
  u.root.tabIndex = 0;
  u.root.setAttribute("role", "application");
  u.root.setAttribute("aria-label", `Chart of ${options.y}: arrow keys go from point to point${sourced ? ", Enter says where a figure comes from" : ""}. The same figures are in the table below.`);
  let line = 0;
  let step = -1;
  u.root.addEventListener("keydown", (event) => {
    const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const of = () => lines[line].points.filter(seen);
    if (event.key === "Enter" && of()[step]) open(line, of()[step]);
    if (event.key === "Escape") hide();
    if (!move) return;
    event.preventDefault();
    line = (line + move[0] + lines.length) % lines.length;
    step = Math.max(0, Math.min(of().length - 1, step + move[1]));
    const point = of()[step];
    if (!point) return;
    show(line, point);
    say(`${lines[line].label}, ${where(point)}: ${point.text}`);
  });
}

/** A dash and a gap of a line, again and again. */
const dashes = ({ dash: [on, off], colour }) => `repeating-linear-gradient(90deg, ${colour} 0 ${on}px, transparent ${on}px ${on + off}px)`;

function legend(lines) {
  const entry = (line) => h("li", {}, h("span", { class: line.dash ? "swatch long" : "swatch", style: `background:${line.dash ? dashes(line) : line.colour}` }), line.label);
  return h("ul", { class: "legend" }, lines.map(entry));
}

/** The point next to x, where one is within a tenth of it. */
function near(points, x) {
  const off = (point) => Math.abs(point.x - x);
  const best = points.reduce((a, b) => (off(b) < off(a) ? b : a), points[0]);
  return best && off(best) <= 0.1 * Math.abs(x) ? best : undefined;
}

/** What a chart draws, as a table that opens below it; `nearest`: columns are about where points are. */
function chartTable(title, lines, xs, unit, nearest = false) {
  const head = h("tr", {}, h("th", { scope: "col" }, "line"), xs.map((x) => h("th", { scope: "col" }, `${short(x)}`)));
  const body = lines.map((line) => h("tr", {}, h("th", { scope: "row" }, line.long ?? line.label), xs.map((x) => {
    const point = line.points.find((point) => point.x === x) ?? (nearest ? near(line.points, x) : undefined);
    return h("td", {}, point ? figure(point.text, point.cells, `${line.label}, ${exact(x)} ${unit}`) : "");
  })));
  const table = h("table", {}, caption(`${title}; columns: ${unit}`), h("thead", {}, head), h("tbody", {}, body));
  return h("details", { class: "data" }, h("summary", {}, "The figures of this chart as a table"), h("div", { class: "scroll", tabindex: "0" }, table));
}
