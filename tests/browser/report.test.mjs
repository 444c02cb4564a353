// The page of a results folder in a real browser: `just test-report`. No network, no console error; what a person does with it.
//
// REPORTS: folder with one `NAME/report.html` each; CHROMIUM: the browser; SCREENSHOTS: where pictures of both widths go, if anywhere.

import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const reports = resolve(process.env.REPORTS ?? "../../out/reports");
const browsers = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

let browser;
before(async () => {
  const executablePath = browsers.find((path) => path && existsSync(path));
  assert.ok(executablePath, "no Chromium; set CHROMIUM");
  // Its sandbox wants rights that containers lack; the pages are our own files.
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});
after(() => browser?.close());

/** Opens the page of a folder, and fails at its end where anything was fetched or went wrong. */
async function opened(name, viewport, body, { ready = "#values table", ...options } = {}) {
  const page = await browser.newPage({ viewport, ...options });
  const wrong = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => /^(file|data|blob):/.test(request.url()) || wrong.push(request.url()));
  await page.goto(pathToFileURL(`${reports}/${name}/report.html`).href);
  await page.waitForSelector(ready);
  await body(page);
  assert.deepEqual(wrong, []);
  await page.close();
}

const texts = (page, selector) => page.locator(selector).allInnerTexts();
const names = async (page) => (await texts(page, "#values tr[data-method] th")).map((text) => text.trim());
/** A method's leading figure in a column of the table. */
const numbers = async (page, column) => (await texts(page, `#values tr[data-method] td:nth-child(${column + 2})`)).map(parseFloat);

for (const name of ["quick", "solvers", "cross", "gaussian", "fid-solution"]) {
  for (const [width, viewport] of [["wide", WIDE], ["phone", PHONE]]) {
    test(`${name} opens ${width}, within the screen, without an error`, () => opened(name, viewport, async (page) => {
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), viewport.width);
      assert.ok((await page.locator("#found .lead").first().innerText()).startsWith("At "));
      assert.ok((await page.locator("#chart canvas").count()) === 1);
      if (process.env.SCREENSHOTS) {
        mkdirSync(process.env.SCREENSHOTS, { recursive: true });
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}-${width}.png`, fullPage: true });
      }
    }));
  }
}

test("a column sorts both ways, by its numbers", () => opened("quick", WIDE, async (page) => {
  const before = await numbers(page, 0);
  const head = page.locator('#values th[data-column="0"]');
  await head.locator("button").click();
  assert.equal(await head.getAttribute("aria-sort"), "ascending");
  assert.deepEqual(await numbers(page, 0), [...before].sort((a, b) => a - b));
  await head.locator("button").click();
  assert.equal(await head.getAttribute("aria-sort"), "descending");
  assert.deepEqual(await numbers(page, 0), [...before].sort((a, b) => b - a));
  await page.locator('#values th[data-column="name"] button').click();
  assert.deepEqual(await names(page), ["DDIM", "DEIS-2", "DEIS-SN-2", "Euler"]);
}));

test("families fold, and filters leave what they name", () => opened("solvers", WIDE, async (page) => {
  assert.equal((await names(page)).length, 0);
  const families = await texts(page, "#values tr.family .fold");
  assert.ok(families.length >= 6 && families.some((text) => text.startsWith("UniPC")), families.join());
  const counts = families.map((text) => Number(/\((\d+)\)/.exec(text)[1]));
  assert.equal(counts.reduce((a, b) => a + b), 57);
  const unipc = page.locator('#values tr[data-family="UniPC"] .fold');
  await unipc.click();
  assert.equal(await unipc.getAttribute("aria-expanded"), "true");
  assert.ok((await names(page)).every((name) => name.startsWith("UniPC")));
  await page.getByRole("button", { name: "Fold families" }).click();
  assert.equal((await names(page)).length, 57);
  await page.locator("#filter").fill("unipc sn");
  const left = await names(page);
  assert.ok(left.length === 6 && left.every((name) => name.includes("UniPC") && name.includes("SN")), left.join());
  await page.locator("#filter").fill("");
  await page.getByLabel("Score normalisation with and").selectOption("without");
  assert.ok((await names(page)).every((name) => !name.includes("SN")));
}));

test("the metric, both axes and the bands switch", () => opened("quick", WIDE, async (page) => {
  const picture = () => page.locator("#chart canvas").evaluate((canvas) => canvas.toDataURL());
  const seen = [await picture()];
  for (const name of ["Logarithmic", "Logarithmic NFE", "Error bands"]) {
    const button = page.locator("#chart-section").getByRole("button", { name, exact: true });
    const was = await button.getAttribute("aria-pressed");
    await button.click();
    assert.notEqual(await button.getAttribute("aria-pressed"), was);
    seen.push(await picture());
  }
  const finding = await page.locator("#found .lead").first().innerText();
  await page.getByRole("button", { name: "fd_pixel" }).click();
  assert.ok((await page.locator("#chart-title").innerText()).startsWith("Fréchet distance of 8×8 pixels"));
  assert.ok((await page.locator("#values caption").innerText()).includes("fd_pixel"));
  assert.notEqual(await page.locator("#found .lead").first().innerText(), finding);
  seen.push(await picture());
  assert.equal(new Set(seen).size, seen.length);
}));

test("a figure tells its row, and the chart's nearest point does", () => opened("quick", WIDE, async (page) => {
  await page.locator('#values tr[data-method="DEIS-2"] td:nth-child(2) button').click();
  const dialog = page.locator("#provenance");
  assert.ok(await dialog.isVisible());
  const rows = await dialog.locator("table.rows tr").evaluateAll((rows) => Object.fromEntries(rows.map((row) => [...row.children].map((cell) => cell.innerText))));
  assert.deepEqual([rows.method, rows.nfe, rows.seed, rows.samples], ["deis", "5", "0", "64"]);
  assert.match(rows.key, /^[0-9a-f]{64}$/);
  assert.match(rows.build, /^[0-9a-f]{40}$/);
  assert.ok(Math.abs(Number(rows.ode_rmse) - 0.1651) < 5e-5);
  assert.match(await dialog.innerText(), /model\s+[0-9a-f]{64}/);
  const command = await dialog.locator("pre").innerText();
  assert.ok(command.includes("--only 'method=deis,order=2,grid=quadratic,coefficients=exact,threshold=none,nfe=5,seed=0'"), command);
  await page.keyboard.press("Escape");
  assert.ok(!(await dialog.isVisible()));
  // By keyboard: the second point of the first line.
  await page.locator("#chart .uplot").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.match(await page.locator("#said").innerText(), /^Euler, 6 NFE: 0\.3169 ± /);
  assert.ok(await page.locator("#chart .card").isVisible());
  await page.keyboard.press("Enter");
  assert.ok((await dialog.locator(".value").innerText()).startsWith("0.3169"));
  await page.keyboard.press("Escape");
  // By pointer: at the chart's lower right corner, DEIS ends.
  const box = await page.locator("#chart .u-over").boundingBox();
  await page.mouse.move(box.x + box.width - 30, box.y + box.height - 30);
  assert.match(await page.locator("#chart .card").innerText(), /^DEIS(-SN)?-2\s+20 NFE: 0\.011/);
}));

test("the slider steps through the samples", () => opened("quick", WIDE, async (page) => {
  const euler = page.locator("#samples img").first();
  const first = await euler.getAttribute("src");
  assert.match(first, /^data:image\/png;base64,/);
  assert.ok(await euler.evaluate((image) => image.naturalWidth === 64));
  await page.locator("#sample-nfe").focus();
  await page.keyboard.press("End");
  assert.equal(await page.locator("#samples output").innerText(), "20 NFE");
  assert.notEqual(await euler.getAttribute("src"), first);
  assert.deepEqual(await texts(page, "#samples figcaption"), ["Euler", "DDIM", "DEIS-2", "DEIS-SN-2", "solution, 500 NFE"]);
}));

test("the map of solvers and grids goes from one number of evaluations to another", () => opened("cross", WIDE, async (page) => {
  assert.equal(await page.locator("#heat td.lowest").count(), 1);
  assert.equal((await page.locator("#heat td.lowest").innerText()).trim(), "0.05673");
  await page.locator("#heat").getByRole("button", { name: "10 NFE", exact: true }).click();
  assert.ok((await page.locator("#heat caption").innerText()).includes("at 10 NFE"));
  assert.equal((await page.locator("#heat td.lowest").innerText()).trim(), "0.01907");
}));

test("what score normalisation changes is a chart and a table, and the score's curve a figure", () => opened("quick", WIDE, async (page) => {
  assert.equal(await page.locator("#changes-chart canvas").count(), 1);
  const cells = await texts(page, "#changes-table tbody tr:first-child td");
  assert.equal(cells.length, 6);
  assert.ok(cells[0].trim().startsWith("−3.1 ± 0.3"), cells.join());
  assert.equal(await page.locator("#curve-chart canvas").count(), 1);
  // Towards τ = 1 it is mean |ε| of noise alone, √(2/π).
  await page.locator("#curve-table summary").click();
  const last = parseFloat(await page.locator("#curve-table tbody tr:first-child td").last().innerText());
  assert.ok(Math.abs(last - Math.sqrt(2 / Math.PI)) < 0.02, `${last}`);
}));

test("a finger on a phone opens where a figure comes from, and switches the metric", () => opened("fid-solution", PHONE, async (page) => {
  const figure = page.locator("#values tr[data-method] td button").first();
  await figure.tap();
  assert.ok(await page.locator("dialog[open]").isVisible());
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "fid", exact: true }).tap();
  assert.ok((await page.locator("#values caption").innerText()).includes("(fid)"));
}, { hasTouch: true }));

test("tables are copied as LaTeX and as Markdown", () => opened("quick", WIDE, async (page) => {
  const copied = () => page.evaluate("document.documentElement.dataset.copied");
  await page.locator("#copy-latex").click();
  await page.waitForFunction("document.documentElement.dataset.copied");
  const latex = await copied();
  assert.ok(latex.startsWith("% ") && latex.includes("lower is better"), latex);
  assert.match(latex, /\\textit\{solution[^}]*\} & \\multicolumn\{6\}\{c\}\{\\textit\{0\.00001327/);
  assert.ok(latex.includes("\\begin{tabular}{lrrrrrr}") && latex.includes("DEIS-SN-2 & \\textbf{0.1600} $\\pm$ 0.0067 &"), latex);
  await page.locator("#copy-markdown").click();
  await page.waitForFunction("!document.documentElement.dataset.copied.startsWith('%')");
  const markdown = await copied();
  assert.ok(markdown.includes("\n\n| method | 5 | 6 | 8 | 10 | 15 | 20 |\n|---|---:|"), markdown);
  assert.match(markdown, /\| \*solution[^|]*\* \| \*0\.00001327/);
  assert.ok(markdown.includes("| DEIS-SN-2 | **0.1600** ± 0.0067 |"), markdown);
}));

test("every control and picture has a name, and every table a caption", () => opened("solvers", WIDE, async (page) => {
  const nameless = await page.evaluate(() => {
    const named = (element) => element.getAttribute("aria-label") || element.labels?.length || element.textContent.trim();
    const bad = [...document.querySelectorAll("button, input, select")].filter((element) => !named(element));
    const images = [...document.images].filter((image) => !image.alt);
    const tables = [...document.querySelectorAll("main table")].filter((table) => !table.caption?.textContent);
    const heads = [...document.querySelectorAll("main th")].filter((cell) => !cell.scope);
    return [...bad, ...images, ...tables, ...heads].map((element) => element.outerHTML.slice(0, 120));
  });
  assert.deepEqual(nameless, []);
  const order = await page.evaluate(() => [...document.querySelectorAll("h1, h2, h3")].filter((title) => title.checkVisibility()).map((title) => title.tagName).join(" "));
  assert.match(order, /^H1 (H2 )+/);
}));

test("texts stand out in both schemes", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await opened("quick", WIDE, async (page) => {
      const ratios = await page.evaluate(() => {
        const light = (css) => {
          const [r, g, b] = css.match(/[\d.]+/g).slice(0, 3).map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = light(getComputedStyle(document.body).backgroundColor);
        return [".lead", ".muted", "summary", "caption"].map((selector) => {
          const ink = light(getComputedStyle(document.querySelector(selector)).color);
          return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
        });
      });
      // WCAG 2's AA.
      assert.ok(ratios.every((ratio) => ratio >= 4.5), `${colorScheme}: ${ratios}`);
    }, { colorScheme });
  }
});

test("on paper there are no controls, and everything is unfolded", () => opened("quick", WIDE, async (page) => {
  await page.emulateMedia({ media: "print" });
  await page.evaluate("dispatchEvent(new Event('beforeprint'))");
  assert.ok(!(await page.locator("#copy-latex").isVisible()));
  assert.ok(await page.locator("#chart-table table").isVisible());
  assert.ok((await page.pdf()).length > 20_000);
}));

test("on paper families are unfolded", () => opened("solvers", WIDE, async (page) => {
  await page.emulateMedia({ media: "print" });
  await page.evaluate("dispatchEvent(new Event('beforeprint'))");
  assert.equal((await names(page)).length, 57);
}));

test("what bold and frames say is said to screen readers", () => opened("cross", WIDE, async (page) => {
  assert.equal(await page.getByRole("button", { name: /, the lowest of all$/ }).count(), 1);
  assert.ok((await page.getByRole("button", { name: /, the best grid of this solver$/ }).count()) > 10);
  await page.getByRole("button", { name: "Fold families" }).click();
  const bold = await page.locator("#values .figure.strong").count();
  assert.ok(bold > 3);
  assert.equal(await page.locator("#values").getByRole("button", { name: /, the lowest, or not told apart from it$/ }).count(), bold);
}));

test("figures of a chart's table tell their rows too, and the slider has every method of fid-solution", () => opened("fid-solution", WIDE, async (page) => {
  await page.locator("#chart-table summary").click();
  await page.locator("#chart-table td button").first().click();
  assert.ok(await page.locator("#provenance").isVisible());
  await page.keyboard.press("Escape");
  assert.equal((await texts(page, "#samples figcaption")).length, 13);
}));

test("published figures are drawn beside FID when they are asked for, and beside nothing else", () => opened("fid-solution", WIDE, async (page) => {
  const drawn = () => texts(page, "#chart-table tbody th");
  const button = page.locator("#chart-section").getByRole("button", { name: "Published by others" });
  // The page opens with another metric.
  assert.ok(!(await button.isVisible()));
  await page.getByRole("button", { name: "fid", exact: true }).click();
  await page.locator("#chart-table summary").click();
  const own = await drawn();
  assert.ok(own.length > 1 && !own.some((name) => name.includes("[")), own.join());
  assert.ok(!(await page.locator("#published-note").isVisible()));
  await button.click();
  assert.equal(await button.getAttribute("aria-pressed"), "true");
  assert.ok(await page.locator("#published-note").isVisible());
  await page.locator("#chart-table summary").click();
  const both = await drawn();
  assert.ok(both.includes("DEIS-SN [authors' U-Net (unpublished weights), CIFAR-10]"), both.join());
  assert.deepEqual(both.slice(0, own.length), own);
  await page.getByRole("button", { name: "fd_pixel" }).click();
  assert.ok(!(await button.isVisible()) && !(await page.locator("#published-note").isVisible()));
  assert.ok(!(await texts(page, "#chart-table tbody th")).some((name) => name.includes("[")));
}));

// Pages of results without cells.
const plain = (name, viewport, body) => opened(name, viewport, body, { ready: "#finding" });

for (const [name, pictures] of [["curves", 0], ["convergence", 0], ["bench", 1], ["train-cifar10", 8], ["fit", 0]]) {
  for (const [width, viewport] of [["wide", WIDE], ["phone", PHONE]]) {
    test(`${name} opens ${width}, within the screen, without an error`, () => plain(name, viewport, async (page) => {
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), viewport.width);
      assert.match(await page.locator("#finding .lead").first().innerText(), /\d/);
      assert.equal(await page.locator("#pictures img").count(), pictures);
      for (const picture of await page.locator("#pictures img").all()) assert.ok(await picture.evaluate((image) => image.naturalWidth > 100 && image.alt.length > 10));
      if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}-${width}.png`, fullPage: true });
    }));
  }
}

test("curves are read point by point, with their errors, and switch to the score", () => plain("curves", WIDE, async (page) => {
  const picture = () => page.locator("#chart canvas").evaluate((canvas) => canvas.toDataURL());
  const seen = [await picture()];
  await page.locator("#chart .uplot").focus();
  await page.keyboard.press("ArrowRight");
  assert.match(await page.locator("#said").innerText(), /^cifar10-small, τ = 0\.\d+: 0\.\d+ ± 0\.\d+$/);
  for (const name of ["|s| = r/σ", "Logarithmic", "Error bands"]) {
    await page.locator("#chart-section").getByRole("button", { name, exact: true }).click();
    seen.push(await picture());
  }
  assert.equal(new Set(seen).size, seen.length);
  // Alone, it has no pages to lead to.
  assert.equal(await page.locator("#links").count(), 0);
  assert.ok((await page.locator("#chart-table td").allTextContents()).filter((text) => text.includes("±")).length > 20);
}));

test("orders sort by their numbers, filter, and each family has its chart", () => plain("convergence", WIDE, async (page) => {
  const column = async (i) => (await texts(page, `#tables tbody tr td:nth-child(${i})`)).map((text) => parseFloat(text));
  const all = (await column(3)).length;
  const head = page.locator('#tables th[data-column="2"]');
  await head.locator("button").click();
  assert.equal(await head.getAttribute("aria-sort"), "ascending");
  const sorted = await column(3);
  assert.deepEqual(sorted, [...sorted].sort((a, b) => a - b));
  await page.locator("#filter").fill("unipc sn");
  const left = (await texts(page, "#tables tbody th")).map((text) => text.trim());
  assert.ok(left.length > 3 && left.length < all && left.every((name) => name.includes("UniPC") && name.includes("SN")), left.join());
  assert.match(await page.locator("#tables caption").innerText(), new RegExp(`${left.length} of ${all} rows`));
  // What is copied is what is shown.
  await page.getByRole("button", { name: "Copy Markdown" }).click();
  const copied = (await page.evaluate("document.documentElement.dataset.copied")).trim().split("\n");
  assert.equal(copied[2], "| method | claimed | measured | error at 20 | 80 | 320 | 800 |");
  assert.deepEqual(copied.slice(4).map((line) => line.split(" | ")[0].slice(2)), left);
  const picture = () => page.locator("#chart canvas").evaluate((canvas) => canvas.toDataURL());
  const before = await picture();
  await page.locator("#which").selectOption({ index: 1 });
  assert.notEqual(await picture(), before);
}));
