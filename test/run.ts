/**
 * Runs every test with coverage and ends in one plain line, `N passed, N failed[, N skipped]`.
 * Arguments go to `bun test`: with a path, only that part runs and coverage is not judged.
 */
import { existsSync, readFileSync } from "node:fs";

const coverageMin = 0.9;
const filters = process.argv.slice(2);
const root = `${import.meta.dir}/..`;
const isWhole = filters.length === 0;
const coverage = isWhole ? ["--coverage", "--coverage-reporter=lcov"] : [];

const run = Bun.spawn([process.execPath, "test", "--timeout=120000", ...coverage, ...filters], {
  cwd: root,
  stdout: "inherit",
  stderr: "pipe",
});
let tail = "";
const decoder = new TextDecoder();
for await (const chunk of run.stderr) {
  process.stderr.write(chunk);
  tail = (tail + decoder.decode(chunk, { stream: true })).slice(-4_096);
}
const exitCode = await run.exited;

/** The last number before `word` in Bun's summary. */
function countOf(word: string): number {
  return Number([...tail.matchAll(new RegExp(`^\\s*(\\d+) ${word}$`, "gm"))].at(-1)?.[1] ?? 0);
}

/** Share of lines that ran, from the report of this run. */
function lineCoverage(): number {
  const report = `${root}/coverage/lcov.info`;
  if (!existsSync(report)) return 0;
  const text = readFileSync(report, "utf8");
  const sum = (tag: string): number =>
    [...text.matchAll(new RegExp(`^${tag}:(\\d+)$`, "gm"))].reduce((n, m) => n + Number(m[1]), 0);
  return sum("LH") / sum("LF");
}

const passed = countOf("pass");
let failed = countOf("fail");
const skipped = countOf("skip");
if (isWhole) {
  const share = lineCoverage();
  console.log(`line coverage ${(share * 100).toFixed(1)} %, wanted ${coverageMin * 100} %`);
  if (share < coverageMin) failed += 1;
}
if (exitCode !== 0 && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 || exitCode !== 0 || passed === 0 ? 1 : 0;
