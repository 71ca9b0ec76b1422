import { expect, test } from "bun:test";
import { parseKlines, settle } from "../../../connectors/binance/kline-page.ts";
import { hasCode, Interval } from "../../../runtime/index.ts";

const minute = Interval.of("1m");
const at = (n: number): number => Date.UTC(2020, 0, 1) + n * 60_000;
const range = { start: at(0), end: at(10) };

/** The exchange's row of minute `n`, with some elements replaced. */
function row(n: number, changes: Readonly<Record<number, unknown>> = {}): unknown[] {
  const elements: unknown[] = [
    at(n),
    "1.5",
    "2",
    "1",
    "1.75",
    "10",
    at(n + 1) - 1,
    "20",
    3,
    "4",
    "5",
    "0",
  ];
  for (const [i, value] of Object.entries(changes)) elements[Number(i)] = value;
  return elements;
}

function faultOf(body: unknown): string {
  try {
    parseKlines(body, range);
  } catch (error) {
    if (hasCode(error, "EXCHANGE_RESPONSE_INVALID")) return error.message;
    throw error;
  }
  return "none";
}

test("a row becomes ts and ten columns in the order of the schema", () => {
  const rows = parseKlines([row(0)], range);
  expect([rows.count, rows.ts[0], rows.seq[0]]).toEqual([1, at(0), 0]);
  expect(rows.columns.map((column) => column[0])).toEqual([
    1.5,
    2,
    1,
    1.75,
    10,
    at(1) - 1,
    20,
    3,
    4,
    5,
  ]);
});

test("µs are told by their size, and a closeTime …999999 µs is …999 ms", () => {
  const micros = row(0, { 0: at(0) * 1_000, 6: at(1) * 1_000 - 1 });
  const rows = parseKlines([micros, row(1)], range);
  expect([...rows.ts]).toEqual([at(0), at(1)]);
  expect(rows.columns[5]?.[0]).toBe(at(1) - 1);
});

test("an empty decimal is NaN; numbers print back to the same text", () => {
  const rows = parseKlines([row(0, { 7: "", 1: "0.00000001", 2: "123456789.12345678" })], range);
  expect(rows.columns[6]?.[0]).toBeNaN();
  expect(rows.columns[0]?.[0]).toBe(0.00000001);
  expect(rows.columns[1]?.[0]).toBe(123_456_789.123_456_78);
});

test("what is malformed is named by row and field", () => {
  expect(faultOf([row(0), row(1, { 4: "abc" })])).toContain(
    'close of row 1 of a klines answer: found "abc"',
  );
  expect(faultOf([row(0, { 1: 1.5 })])).toContain("open of row 0");
  expect(faultOf([row(0, { 5: " " })])).toContain("volume of row 0");
  expect(faultOf([row(0, { 5: "1e5" })])).toContain("volume of row 0");
  expect(faultOf([row(0, { 8: "3" })])).toContain("trades of row 0");
  expect(faultOf([row(0, { 0: "1" })])).toContain("openTime of row 0");
  expect(faultOf([row(0, { 6: at(0) - 1 })])).toContain("row 0");
  expect(faultOf([row(0).slice(0, 9)])).toContain("at least 11 elements");
  expect(faultOf([null])).toContain("row 0");
  expect(faultOf({ code: 0 })).toContain("the body");
});

test("rows out of the range, out of order or twice are refused: paging would never end", () => {
  expect(faultOf([row(10)])).toContain("row 0");
  expect(faultOf([row(-1)])).toContain("row 0");
  expect(faultOf([row(2), row(1)])).toContain("row 1");
  expect(faultOf([row(2), row(2)])).toContain("row 1");
});

/** `[closed rows, settled minutes]` of a page with rows at the minutes `ns`. */
function settled(
  ns: readonly number[],
  facts: { serverTimeMs: number; isFull?: boolean },
): readonly [number, number] {
  const body = ns.map((n) => row(n));
  const { count, end } = settle(parseKlines(body, range), {
    interval: minute,
    range,
    isFull: facts.isFull ?? false,
    serverTimeMs: facts.serverTimeMs,
    lateMsMax: 2_000,
  });
  return [count, (end - at(0)) / 60_000];
}

test("a full page settles up to the close of its last row (K2)", () => {
  expect(settled([0, 1, 5], { serverTimeMs: at(100), isFull: true })).toEqual([3, 6]);
});

test("a page that is not full settles its range, gaps and all (K2)", () => {
  expect(settled([0, 1, 5], { serverTimeMs: at(100) })).toEqual([3, 10]);
  expect(settled([], { serverTimeMs: at(100) })).toEqual([0, 10]);
});

test("an open row and all after it are left out, and it settles all before it (K1, K2)", () => {
  expect(settled([0, 1, 4], { serverTimeMs: at(4) + 1_000 })).toEqual([2, 4]);
  expect(settled([0, 1, 4], { serverTimeMs: at(2) - 1 })).toEqual([1, 1]);
  expect(settled([3], { serverTimeMs: at(1) })).toEqual([0, 3]);
});

test("nothing is settled beyond the last closed bar (K3)", () => {
  expect(settled([0, 1], { serverTimeMs: at(4) + 30_000 })).toEqual([2, 4]);
});

test("a bar that closed less than 2 s ago is not absent yet; if it is there, it counts (K3)", () => {
  expect(settled([0, 1, 2], { serverTimeMs: at(4) + 1_999 })).toEqual([3, 3]);
  expect(settled([0, 1, 2], { serverTimeMs: at(4) + 2_000 })).toEqual([3, 4]);
  expect(settled([0, 1, 2, 3], { serverTimeMs: at(4) + 1 })).toEqual([4, 4]);
  expect(settled([], { serverTimeMs: at(0) + 1_000 })).toEqual([0, 0]);
});

test("behind a bar off the grid nothing is passed over: the next page begins 1 ms later", () => {
  const body = [row(0, { 0: at(0) + 14_789 })];
  const facts = { interval: minute, range, isFull: true, serverTimeMs: at(100), lateMsMax: 0 };
  expect(settle(parseKlines(body, range), facts).end).toBe(at(0) + 14_790);
});
