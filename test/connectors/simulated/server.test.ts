import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  type ExchangeSimulator,
  type SimulatorOptions,
  startExchangeSimulator,
} from "../../../connectors/simulated/index.ts";
import { hasCode } from "../../../runtime/index.ts";
import { recordedPath, recordedTest } from "../../harness/recorded-data.ts";

const running: ExchangeSimulator[] = [];
const minuteMs = 60_000;
/** 2024-01-01, a full hour of every interval. */
const startMs = Date.UTC(2024, 0, 1);

afterEach(async () => {
  for (const simulator of running.splice(0)) await simulator.close();
});

async function start(options: Partial<SimulatorOptions> = {}): Promise<ExchangeSimulator> {
  const simulator = await startExchangeSimulator({
    source: { kind: "generated", seed: 7 },
    serverTimeMs: startMs + 100.5 * minuteMs,
    ...options,
  });
  running.push(simulator);
  return simulator;
}

type Row = [number, ...(string | number)[]];

async function rowsOf(simulator: ExchangeSimulator, query: string): Promise<Row[]> {
  const response = await fetch(`${simulator.url}/api/v3/klines?${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Row[];
}

/** Open times as minutes after `startMs`. */
async function minutesOf(simulator: ExchangeSimulator, query: string): Promise<number[]> {
  const rows = await rowsOf(simulator, `symbol=BTCUSDT&interval=1m&${query}`);
  return rows.map(([open]) => (open - startMs) / minuteMs);
}

const at = (minute: number): number => startMs + minute * minuteMs;

test("both bounds of klines are inclusive and compared with open times", async () => {
  const simulator = await start();
  expect(await minutesOf(simulator, `startTime=${at(3)}&endTime=${at(5)}`)).toEqual([3, 4, 5]);
  const between = `startTime=${at(3) - 32_000}&endTime=${at(5) + 28_000}`;
  expect(await minutesOf(simulator, between)).toEqual([3, 4, 5]);
  expect(await minutesOf(simulator, `startTime=${at(4)}&endTime=${at(4)}`)).toEqual([4]);
  expect(await minutesOf(simulator, `startTime=${at(5)}&endTime=${at(4)}`)).toEqual([]);
});

test("startTime alone gives the oldest bars from it, endTime alone the newest up to it", async () => {
  const simulator = await start();
  expect(await minutesOf(simulator, `startTime=${at(3)}&limit=2`)).toEqual([3, 4]);
  expect(await minutesOf(simulator, `endTime=${at(9)}&limit=2`)).toEqual([8, 9]);
});

test("no bound gives the newest bars, the open one last, with a closeTime to come", async () => {
  const simulator = await start();
  const rows = await rowsOf(simulator, "symbol=BTCUSDT&interval=1m&limit=2");
  expect(rows.map(([open]) => (open - startMs) / minuteMs)).toEqual([99, 100]);
  expect(rows[1]?.[6]).toBe(at(101) - 1);
});

test("klines gives 500 bars by default and 1,000 at most", async () => {
  const simulator = await start({ serverTimeMs: at(5_000) });
  expect(await minutesOf(simulator, `startTime=${at(0)}`)).toHaveLength(500);
  expect(await minutesOf(simulator, `startTime=${at(0)}&limit=5000`)).toHaveLength(1_000);
});

test("times before 2017 are moved to it, and bounds in µs are understood", async () => {
  const simulator = await start();
  const first = await rowsOf(simulator, "symbol=BTCUSDT&interval=1d&startTime=0&limit=1");
  expect(first[0]?.[0]).toBe(Date.UTC(2017, 0, 1));
  const micros = `startTime=${at(3)}000&endTime=${at(5)}000`;
  expect(await minutesOf(simulator, micros)).toEqual([3, 4, 5]);
});

test("a row has 12 elements: three integers, and decimals in quotes with 8 places", async () => {
  const simulator = await start();
  const [row] = await rowsOf(simulator, "symbol=BTCUSDT&interval=1m&limit=1");
  expect(row).toHaveLength(12);
  for (const i of [0, 6, 8]) expect(Number.isInteger(row?.[i])).toBe(true);
  for (const i of [1, 2, 3, 4, 5, 7, 9, 10]) expect(row?.[i]).toMatch(/^\d+\.\d{8}$/);
  expect(row?.[11]).toBe("0");
});

test("X-MBX-TIME-UNIT makes times µs, and a bar close 1 µs before the next", async () => {
  const simulator = await start();
  const url = `${simulator.url}/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=${at(3)}&limit=1`;
  const response = await fetch(url, { headers: { "X-MBX-TIME-UNIT": "MICROSECOND" } });
  const [row] = (await response.json()) as Row[];
  expect(row?.[0]).toBe(at(3) * 1_000);
  expect(row?.[6]).toBe(at(4) * 1_000 - 1);
});

const refusals: readonly (readonly [string, number, string])[] = [
  ["klines", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."],
  ["klines?symbol=BTCUSDT", -1102, "Mandatory parameter 'interval' was not sent"],
  ["klines?interval=1m&x=1", -1102, "Mandatory parameter 'symbol' was not sent"],
  [
    "klines?symbol=BTCUSDT&interval=1m&x=1",
    -1104,
    "Not all sent parameters were read; read '2' parameter(s) but was sent '3'.",
  ],
  ["klines?symbol=A&symbol=B&interval=1m", -1101, "Duplicate values for a parameter detected."],
  [
    "klines?symbol=btcusdt&interval=1m",
    -1100,
    "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
  ],
  ["klines?symbol=BTCUSDT&interval=1m&startTime=", -1105, "Parameter 'startTime' was empty."],
  [
    "klines?symbol=BTCUSDT&interval=1m&endTime=None",
    -1100,
    "Illegal characters found in parameter 'endTime'; legal range is '^[0-9]{1,20}$'.",
  ],
  ["klines?symbol=BTCUSDT&interval=1m&limit=-1", -1100, "parameter 'limit'"],
  ["klines?symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."],
  ["klines?symbol=NO.SUCH&interval=1m", -1121, "Invalid symbol."],
  ["exchangeInfo?symbol=NO.SUCH", -1121, "Invalid symbol."],
  ["exchangeInfo?symbols=BTCUSDT", -1100, "Illegal characters found in parameter 'symbols'"],
  ["exchangeInfo?symbolStatus=ASLEEP", -1122, "Invalid symbolStatus."],
  ["exchangeInfo?symbolStatus=HALT&symbol=BTCUSDT", -1128, "Combination of optional parameters"],
  ["time?x=1", -1101, "Too many parameters; expected '0' and received '1'."],
];

test("bad requests get HTTP 400 with the exchange's codes and words, in its order", async () => {
  const simulator = await start();
  for (const [path, code, message] of refusals) {
    const response = await fetch(`${simulator.url}/api/v3/${path}`);
    const body = (await response.json()) as { code: number; msg: string };
    expect([path, response.status, body.code]).toEqual([path, 400, code]);
    expect(body.msg).toContain(message);
  }
});

test("a path that is not there answers 404, as HTML only to those who accept it", async () => {
  const simulator = await start();
  const plain = await fetch(`${simulator.url}/api/v1/klines`, { headers: { accept: "*/*" } });
  expect([plain.status, await plain.text()]).toEqual([404, ""]);
  const html = await fetch(`${simulator.url}/x`, { headers: { accept: "text/html" } });
  expect(html.status).toBe(404);
  expect(await html.text()).toContain("<HTML>");
});

test("answers tell the weight of the wall-clock minute: klines 2, time 1, exchangeInfo 20", async () => {
  let nowMs = startMs;
  const clock = { now: () => nowMs, sleep: async () => await Promise.resolve() };
  const simulator = await start({ clock });
  const usedAfter = async (path: string): Promise<string | null> => {
    const response = await fetch(`${simulator.url}/api/v3/${path}`);
    await response.text();
    return response.headers.get("x-mbx-used-weight-1m");
  };
  expect(await usedAfter("time")).toBe("1");
  expect(await usedAfter("klines?symbol=BTCUSDT&interval=1m")).toBe("3");
  expect(await usedAfter("exchangeInfo?symbol=BTCUSDT")).toBe("23");
  nowMs += minuteMs;
  expect(await usedAfter("ping")).toBe("1");
});

test("beyond the limit comes 429 until the minute's end, then 418 for those who go on", async () => {
  let nowMs = startMs + 45_000;
  const clock = { now: () => nowMs, sleep: async () => await Promise.resolve() };
  const simulator = await start({ clock, weightPerMinute: 2, banAfter: 2 });
  const ask = async (): Promise<readonly [number, string | null]> => {
    const response = await fetch(`${simulator.url}/api/v3/ping`);
    await response.text();
    return [response.status, response.headers.get("retry-after")];
  };
  expect(await ask()).toEqual([200, null]);
  expect(await ask()).toEqual([200, null]);
  expect(await ask()).toEqual([429, "15"]);
  expect(await ask()).toEqual([429, "15"]);
  expect(await ask()).toEqual([429, "15"]);
  expect(await ask()).toEqual([418, "120"]);
  nowMs += 119_000;
  expect(await ask()).toEqual([418, "1"]);
  nowMs += 1_000;
  expect(await ask()).toEqual([200, null]);
});

test("exchangeInfo lists symbols and the limits; any asset is traded for a known one", async () => {
  const simulator = await start({ weightPerMinute: 1_200 });
  const response = await fetch(
    `${simulator.url}/api/v3/exchangeInfo?symbols=["ETHUSDT","ABCUSDC"]`,
  );
  const info = (await response.json()) as {
    rateLimits: { rateLimitType: string; limit: number }[];
    symbols: { symbol: string; baseAsset: string; quoteAsset: string; status: string }[];
  };
  expect(info.rateLimits[0]?.limit).toBe(1_200);
  expect(info.symbols.map((entry) => [entry.symbol, entry.baseAsset, entry.quoteAsset])).toEqual([
    ["ETHUSDT", "ETH", "USDT"],
    ["ABCUSDC", "ABC", "USDC"],
  ]);
  for (const symbol of ["NOSUCH", "USDT", "BTCUSDTX"]) {
    const refused = await fetch(`${simulator.url}/api/v3/exchangeInfo?symbol=${symbol}`);
    expect(await refused.json()).toEqual({ code: -1121, msg: "Invalid symbol." });
  }
});

test("answers are zipped for those who ask, and only long ones", async () => {
  const simulator = await start();
  const encodingOf = async (path: string, accepted: string): Promise<string | null> => {
    const headers = { "accept-encoding": accepted };
    const response = await fetch(`${simulator.url}/api/v3/${path}`, { headers });
    await response.json();
    return response.headers.get("content-encoding");
  };
  expect(await encodingOf("klines?symbol=BTCUSDT&interval=1m", "gzip")).toBe("gzip");
  expect(await encodingOf("klines?symbol=BTCUSDT&interval=1m", "identity")).toBeNull();
  expect(await encodingOf("time", "gzip")).toBeNull();
});

test("a port that is taken is SERVER_START_FAILED, bad settings are CONFIG_INVALID", async () => {
  const simulator = await start();
  const port = Number(new URL(simulator.url).port);
  const second = await start({ port }).catch((error: unknown) => error);
  expect(hasCode(second, "SERVER_START_FAILED")).toBe(true);
  const third = await start({ port: -1, faults: ["nonsense"] }).catch((error: unknown) => error);
  expect(hasCode(third, "CONFIG_INVALID")).toBe(true);
});

interface Recording {
  readonly path: string;
  readonly query: string;
  readonly status: number;
  readonly body: unknown;
}

// Goal: the simulator answers as the exchange did. Method: real requests of 2020 and 2023 whose
// bars are in the CSV files are asked again; their answers are equal element by element. (Two
// more daily answers were captured before the exchange revised two days, and are left out.)
recordedTest("recorded requests get the answers that the exchange gave", async () => {
  const simulator = await start({
    source: {
      kind: "recorded",
      directory: recordedPath("klines"),
      files: [
        "BTCUSDT-1d-20181229-20200104.csv",
        "BTCUSDT-1h-20200430-20200701.csv",
        "BTCUSDT-5m-20200101-2h.oracle.csv",
      ],
    },
  });
  simulator.setServerTime(Date.UTC(2023, 0, 1));
  const zipped = readFileSync(recordedPath("rest", "gct-spot-rest.jsonl.gz"));
  const lines = new TextDecoder().decode(Bun.gunzipSync(zipped)).trim().split("\n");
  const recordings = lines
    .map((line) => JSON.parse(line) as Recording)
    .filter(({ path, query }) => path.endsWith("/klines") && /symbol=BTCUSDT/.test(query))
    .filter(({ query }) =>
      /startTime=(1546041600000|1588280400000|1591880400000|1577836800000)/.test(query),
    );
  expect(recordings).toHaveLength(4);
  for (const { path, query, body } of recordings) {
    const response = await fetch(`${simulator.url}${path}?${query}`);
    expect(await response.json()).toEqual(body);
  }
});
