"use strict";
// What every part of the page uses: its data, its state, elements, and announcements.

const D = JSON.parse(document.getElementById("data").textContent);

const state = {
  metric: 0,
  filter: "",
  normalised: "all",
  grid: "",
  family: "",
  folded: (D.methods ?? []).length > 12,
  open: new Set(),
  sort: { column: -1, down: false },
  drawn: new Set(),
  logX: false,
  logY: true,
  bands: true,
  published: false,
};

/** An element: attributes whose names begin with "on" are listeners, `false` and `null` are left out. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return element;
}

const metric = () => D.metrics[state.metric];
const rowOf = (method) => metric().rows.find((row) => row.method === method);
const dark = () => matchMedia("(prefers-color-scheme: dark)").matches !== (document.documentElement.dataset.theme === "other");

/** A method's colour on the page's ground, as CSS. */
function colour(rgb) {
  if (dark()) rgb = rgb.map((value) => Math.round(value + 0.5 * (255 - value)));
  return `rgb(${rgb.join(" ")})`;
}

/** A CSS variable's value. */
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Says something to screen readers, and shows it for a moment. */
function say(text) {
  document.getElementById("said").textContent = text;
}

/** A figure that tells where it comes from; `said`: what its looks say to the eye. */
function figure(text, cells, title, strong = false, said = "") {
  if (!cells.length) return strong ? h("b", {}, text) : text;
  const attributes = { type: "button", class: strong ? "figure strong" : "figure", title: "Where this comes from", "aria-label": said ? `${text}, ${said}` : null };
  return h("button", { ...attributes, onclick: () => showProvenance(title, text, cells) }, text);
}

/** A table's caption, which stays in sight where the table is wider than the page. */
const caption = (text) => h("caption", {}, h("span", {}, text));

/** A button that is pressed or not. */
function toggle(label, pressed, change) {
  const button = h("button", { type: "button", class: "toggle", "aria-pressed": String(pressed) }, label);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(now));
    change(now);
  });
  return button;
}

/** One of several, as buttons of which one is pressed. */
function choice(label, names, chosen, change) {
  const buttons = names.map((name, i) =>
    h("button", { type: "button", class: "toggle", "aria-pressed": String(i === chosen), onclick: () => pick(i) }, name));
  const pick = (i) => {
    buttons.forEach((button, j) => button.setAttribute("aria-pressed", String(i === j)));
    change(i);
  };
  return h("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** Puts text on the clipboard, where the browser lets a page do so. */
async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "unseen", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  document.documentElement.dataset.copied = text;
  say(`${what} copied.`);
  const note = h("p", { class: "note", "aria-hidden": "true" }, `${what} copied`);
  document.body.append(note);
  setTimeout(() => note.remove(), 1600);
}

/** A number in as many digits as tell it from its neighbours, for reading out. */
const exact = (value) => String(Number(value.toPrecision(6)));

/** A number in few digits, for axes. */
function short(value) {
  if (value === null) return "";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) return value.toExponential(0).replace("e-", "e−").replace("e+", "e");
  return String(Number(value.toPrecision(3))).replace("-", "−");
}
