import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ExchangeSimulator,
  startExchangeSimulator,
} from "../../../../connectors/simulated/index.ts";
import { hasCode } from "../../../../runtime/index.ts";

let directory = "";
let simulator: ExchangeSimulator | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "qmtl-recorded-"));
});

afterEach(async () => {
  await simulator?.close();
  simulator = undefined;
  await rm(directory, { recursive: true, force: true });
});

const header =
  "openTime,open,high,low,close,volume,closeTime,quoteVolume,trades,takerBuyBase,takerBuyQuote";
/** Row of minute `n` of 2020, the price being `close`. */
const row = (n: number, close: string, unit = 1): string => {
  const open = (1_577_836_800_000 + n * 60_000) * unit;
  return `${open},1,2,0.5,${close},10,${open + 60_000 * unit - 1},20,3,4,5`;
};

async function serve(
  files: Readonly<Record<string, readonly string[]>>,
  options: { readonly files?: string[]; readonly faults?: string[] } = {},
): Promise<ExchangeSimulator> {
  for (const [name, lines] of Object.entries(files)) {
    await writeFile(join(directory, name), `${lines.join("\n")}\n`);
  }
  const { files: named, faults = [] } = options;
  const source = { kind: "recorded" as const, directory, ...(named && { files: named }) };
  simulator = await startExchangeSimulator({ source, faults });
  return simulator;
}

async function rowsOf(query = "symbol=BTCUSDT&interval=1m"): Promise<unknown[][]> {
  const response = await fetch(`${simulator?.url}/api/v3/klines?${query}`);
  return (await response.json()) as unknown[][];
}

async function failureOf(files: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const error = await serve(files).catch((thrown: unknown) => thrown);
  if (!hasCode(error, "RECORDED_DATA_INVALID")) throw new Error(`no refusal: ${String(error)}`);
  return error.message;
}

test("rows are served as written, filled up to 8 places; an empty cell stays empty", async () => {
  await serve({
    "BTCUSDT-1m-a.csv": [header, row(0, "1.5").replace(",20,3,4,5", ",,3,,0.123456789")],
  });
  expect(await rowsOf()).toEqual([
    [
      1_577_836_800_000,
      "1.00000000",
      "2.00000000",
      "0.50000000",
      "1.50000000",
      "10.00000000",
      1_577_836_859_999,
      "",
      3,
      "",
      "0.123456789",
      "0",
    ],
  ]);
});

test("the clock stands 1 s after the last closeTime, so that the last bar is closed", async () => {
  const { url } = await serve({ "BTCUSDT-1m-a.csv": [row(0, "1"), row(1, "1")] });
  const time = (await (await fetch(`${url}/api/v3/time`)).json()) as { serverTime: number };
  expect(time.serverTime).toBe(1_577_836_919_999 + 1_000);
});

test("files without header, in µs or of 12 columns give the same rows as others", async () => {
  await serve({
    "BTCUSDT-1m-a.csv": [header, row(0, "1"), row(1, "2")],
    "BTCUSDT-1m-b.csv": [`${row(1, "2", 1_000)},0`, `${row(2, "3", 1_000)},0`],
  });
  const rows = await rowsOf();
  expect(rows.map((cells) => [cells[0], cells[4], cells[6]])).toEqual([
    [1_577_836_800_000, "1.00000000", 1_577_836_859_999],
    [1_577_836_860_000, "2.00000000", 1_577_836_919_999],
    [1_577_836_920_000, "3.00000000", 1_577_836_979_999],
  ]);
});

test("rows of one open time that differ are refused, naming both places", async () => {
  const message = await failureOf({
    "BTCUSDT-1m-a.csv": [header, row(0, "1"), row(1, "2")],
    "BTCUSDT-1m-b.csv": [row(1, "2.00000001")],
  });
  expect(message).toContain("BTCUSDT-1m-b.csv:1");
  expect(message).toContain("BTCUSDT-1m-a.csv:3");
});

test("a malformed row is refused, naming file, line and cell", async () => {
  const bad = [header, row(0, "1"), row(1, "x")];
  const message = await failureOf({ "BTCUSDT-1m-a.csv": bad });
  expect(message).toBe(
    'Cannot read recorded data at BTCUSDT-1m-a.csv:3: found "x" in cell 5, wanted a number',
  );
  expect(await failureOf({ "BTCUSDT-1m-a.csv": ["1,2,3"] })).toContain("found 3 cells");
  const odd = await failureOf({ "BTCUSDT-1m-a.csv": [row(0, "1")], "BTCUSDT-7m-a.csv": [] });
  expect(odd).toContain("BTCUSDT-7m-a.csv");
});

test("a folder without rows, or none, is refused", async () => {
  expect(await failureOf({ "notes.csv": [row(0, "1")] })).toContain("no rows");
  const source = { kind: "recorded" as const, directory: join(directory, "missing") };
  const error = await startExchangeSimulator({ source }).catch((thrown: unknown) => thrown);
  expect(hasCode(error, "RECORDED_DATA_INVALID")).toBe(true);
});

test("oracle, derived and paging-bug files are served only where they are named", async () => {
  const files = {
    "BTCUSDT-1m-a.csv": [row(0, "1")],
    "BTCUSDT-1m-b.oracle.csv": [row(1, "1")],
    "BTCUSDT-1m-c.derived.csv": [row(2, "1")],
    "BTCUSDT-1m-d.paging-bug.csv": [row(3, "1")],
  };
  await serve(files);
  expect(await rowsOf()).toHaveLength(1);
  await simulator?.close();
  await serve(files, { files: ["BTCUSDT-1m-d.paging-bug.csv", "BTCUSDT-1m-a.csv"] });
  expect(await rowsOf()).toHaveLength(2);
});

test("a known symbol has no bars where none were recorded; others are not known", async () => {
  await serve({ "BTCUSDT-1m-a.csv": [row(0, "1")] });
  expect(await rowsOf("symbol=BTCUSDT&interval=5m")).toEqual([]);
  expect(await rowsOf("symbol=ETHUSDT&interval=1m")).toMatchObject({ code: -1121 });
});

test("the open fault adds a bar that closes after the clock, and a bar hidden by the clock is partial", async () => {
  const running = await serve(
    { "BTCUSDT-1m-a.csv": [row(0, "1.5"), row(1, "9")] },
    { faults: ["open"] },
  );
  const flat = ["9.00000000", "9.00000000", "9.00000000", "9.00000000", "0.00000000"];
  expect((await rowsOf())[2]?.slice(0, 7)).toEqual([1_577_836_920_000, ...flat, 1_577_836_979_999]);
  running.setServerTime(1_577_836_890_000);
  const rows = await rowsOf();
  expect(rows).toHaveLength(2);
  expect(rows[1]?.slice(1, 6)).toEqual([
    "1.00000000",
    "1.00000000",
    "1.00000000",
    "1.00000000",
    "0.00000000",
  ]);
});
