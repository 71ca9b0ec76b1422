/**
 * Goal: what the READMEs say is so. Method: every fenced block is taken out of them and run:
 * commands against an exchange on loopback, code as the strategy file it names.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { type ExchangeSimulator, startExchangeSimulator } from "qmtl/connectors/simulated";
import manifest from "../package.json";
import { repository, runBun, spawnBun } from "./harness/child-run.ts";
import { parseReport } from "./harness/json-report.ts";
import { scratchDirectory } from "./harness/scratch.ts";

setDefaultTimeout(60_000);
const cwd = scratchDirectory();
/** Inside the package, so that the example finds `qmtl` as a strategy does. */
const examples = join(repository, ".qmtl", `readme-${process.pid}`);
const documents = ["README.md", "strategies/README.md"];
let simulator: ExchangeSimulator;

interface Block {
  readonly document: string;
  readonly language: string;
  readonly text: string;
}

const blocks = documents.flatMap((document): Block[] => {
  const text = readFileSync(join(repository, document), "utf8");
  return [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language = "", body = ""]) => ({
    document,
    language,
    text: body,
  }));
});
const commands = blocks
  .filter(({ language }) => language === "sh")
  .flatMap(({ document, text }) =>
    text
      .trim()
      .split("\n")
      .map((line) => ({ document, line })),
  );
const programs = blocks.filter(({ language }) => language === "ts");

/** Files that the documents tell the reader to write, by the name in their first line. */
const written = new Map(
  programs.map(({ text }) => [/^\/\/ (\S+)/.exec(text)?.[1] ?? "", text] as const),
);

beforeAll(async () => {
  simulator = await startExchangeSimulator({ source: { kind: "generated", seed: 7 } });
  for (const [name, text] of written) {
    mkdirSync(dirname(join(examples, name)), { recursive: true });
    writeFileSync(join(examples, name), text);
  }
});
afterAll(async () => {
  await simulator.close();
  rmSync(examples, { recursive: true, force: true });
});

/** A command's words as arguments of Bun; undefined for what only installs or tests. */
function argumentsOf(line: string): readonly string[] | undefined {
  const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? "",
  );
  const [program, ...rest] = words;
  if (program === "npm" && rest[0] === "start") {
    const [, , file = ""] = manifest.scripts.start.split(" ").slice(1);
    expect(manifest.scripts.start).toBe(`node launch.mjs run ${file}`);
    return [join(repository, file), ...rest.slice(2)];
  }
  if (program === "npx" && rest[0] === "qmtl") {
    return [join(repository, manifest.bin.qmtl), ...rest.slice(1)];
  }
  if (program === "bun" && rest[0] === "run") {
    const [, file = "", ...args] = rest;
    return [join(written.has(file) ? examples : repository, file), ...args];
  }
  expect(["npm test"]).toContain(line);
  return undefined;
}

test("the documents have commands and a program to run", () => {
  expect([commands.length > 8, [...written.keys()]]).toEqual([true, ["strategies/cross.ts"]]);
  expect(blocks.every(({ language }) => ["sh", "ts"].includes(language))).toBe(true);
  expect(manifest.scripts.test).toBe("node launch.mjs test");
});

// One after the other: the later ones look into the store of those before.
for (const { document, line } of commands) {
  test(`${document}: ${line}`, async () => {
    const args = argumentsOf(line);
    if (args === undefined) return;
    const env = { QMTL_BINANCE_URL: simulator.url };
    if (args[1] === "exchange") return await expectServing(args);
    const { exitCode, stdout, stderr } = await runBun(args, { cwd, env });
    expect([exitCode, stderr.match(/qmtl: .*/)]).toEqual([0, null]);
    const text = stripVTControlCharacters(stdout);
    if (line.includes("--help")) expect(text).toContain("--symbols-file");
    else if (line.includes("--json")) expect(parseReport(stdout).records).toBe(8_640);
    else if (line.includes("history list")) expect(text).toContain("│ 5m");
    else if (line.includes("history export")) expect(text).toStartWith("openTime,open,high");
    else {
      expect(text).toMatch(/records in .* records\/s/);
      // Each symbol that the line names is in the table.
      const [, symbols = ""] = /--symbols (\S+)/.exec(line) ?? [];
      for (const symbol of symbols.split(",")) expect(text).toContain(symbol);
    }
  });
}

async function expectServing(args: readonly string[]): Promise<void> {
  const child = spawnBun(args, { cwd });
  const line = new TextDecoder().decode((await child.stdout.getReader().read()).value);
  const [url = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? [];
  expect((await fetch(`${url}/api/v3/ping`)).status).toBe(200);
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
}

test("files and folders that the documents name are there", () => {
  for (const document of documents) {
    const text = readFileSync(join(repository, document), "utf8");
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = ""]) => path);
    const folders = [...text.matchAll(/^\| `([\w/]+\/)` \|/gm)].map(([, path = ""]) => path);
    const missing = [...links, ...folders].filter(
      (path) => !existsSync(join(repository, dirname(document), path)),
    );
    expect(missing).toEqual([]);
  }
});

test("every page of docs/ is linked, or its folder is", () => {
  const text = readFileSync(join(repository, "README.md"), "utf8");
  const pages = [...new Bun.Glob("docs/**/*.md").scanSync(repository)];
  const isLinked = (page: string) =>
    [page, `${dirname(page)}/`].some((path) => text.includes(`(${path})`));
  expect(pages.filter((page) => !isLinked(page))).toEqual([]);
});

test("each flag that a run takes is named, and each variable that is named is read", async () => {
  const { stdout } = await runBun([join(repository, "strategies/binance_history.ts"), "--help"], {
    cwd,
  });
  const text = readFileSync(join(repository, "README.md"), "utf8");
  const flags = [...stdout.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, flag = ""]) => flag);
  expect(flags.length).toBeGreaterThan(8);
  expect(flags.filter((flag) => !text.includes(`\`${flag}`))).toEqual([]);
  const settings = readFileSync(join(repository, "runtime/engine/settings.ts"), "utf8");
  const variables = [...text.matchAll(/QMTL_[A-Z_]+/g)].map(([name]) => name);
  expect(variables.filter((name) => !settings.includes(`${name}:`))).toEqual([]);
});
