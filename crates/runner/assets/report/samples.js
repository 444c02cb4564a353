// Samples of all methods from the same noise, side by side, and a slider over the evaluations.

function samplesSection() {
  const sheet = D.samples;
  if (sheet.whole) {
    return h("figure", {}, h("img", { src: sheet.whole, alt: "The first four samples of every method (rows) by number of evaluations (columns), all from the same noise", class: "whole" }));
  }
  const steps = sheet.columns.filter((column) => column !== "solution");
  const solution = sheet.columns.indexOf("solution");
  const tiles = h("div", { class: "tiles" });
  const output = h("output", { for: "sample-nfe" });
  const picture = (row, column) => sheet.pictures[row][column];
  const tile = (row, column, name) => {
    const address = picture(row, column);
    const image = address
      ? h("img", { src: address, alt: `Four samples of ${sheet.rows[row]}${column === solution ? "" : `, ${sheet.columns[column]}`}`, width: sheet.size[0], height: sheet.size[1] })
      : h("div", { class: "missing" }, "no picture: not measured, or diverged");
    return h("figure", {}, image, h("figcaption", {}, name));
  };
  const draw = (step) => {
    output.textContent = steps[step];
    const column = sheet.columns.indexOf(steps[step]);
    const rows = sheet.rows.flatMap((name, row) => (solution >= 0 && picture(row, solution) ? [] : [tile(row, column, name)]));
    const solved = sheet.rows.flatMap((name, row) => (solution >= 0 && picture(row, solution) ? [tile(row, solution, name)] : []));
    tiles.replaceChildren(...rows, ...solved);
  };
  const slider = h("input", {
    type: "range", id: "sample-nfe", min: 0, max: steps.length - 1, step: 1, value: 0,
    "aria-valuetext": steps[0],
    oninput: (event) => {
      event.target.setAttribute("aria-valuetext", steps[event.target.value]);
      draw(Number(event.target.value));
    },
  });
  draw(0);
  return h("div", {}, h("div", { class: "bar" }, h("label", { for: "sample-nfe" }, "Network evaluations"), slider, output), tiles);
}
