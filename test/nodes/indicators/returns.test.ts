import { expect, test } from "bun:test";
import { Node, type QmtlError, returns, StreamInput } from "../../../nodes/index.ts";
import { type Emitted, TaskRun } from "../../harness/task-run.ts";

const minute = 60_000;
const bar = { close: "f64", position: "f64" } as const;

/** Bars of price and position in one stream; a position of 9 is none. */
function barsOf(interval = "1m") {
  return new StreamInput({ name: "bars", symbols: ["A"], interval, period: 2, schema: bar });
}

function positionOf(bars: ReturnType<typeof barsOf>) {
  return new Node({
    name: "position",
    input: bars,
    lookback: 1,
    schema: { position: "f64" },
    compute(window) {
      const position = window.value("position");
      return position === 9 ? undefined : { position };
    },
  });
}

/** Bars `[close, position]`, a minute each; null is a minute without a bar. */
type Rows = readonly (readonly [close: number, position: number] | null)[];

/** `[minute, ret, traded]` of each return. */
function returnsOf(rows: Rows, cost = 0.01) {
  const bars = barsOf();
  const run = new TaskRun([returns(positionOf(bars), bars, { cost })]);
  const timed = rows.flatMap((row, i) => (row === null ? [] : [[i * minute, ...row]]));
  run.feed("bars", "A", ...timed);
  return run
    .take()
    .filter(([name]) => name === "returns")
    .map(([, , ts, ret, traded]: Emitted) => [ts / minute, Number(ret!.toFixed(12)), traded]);
}

test("what is decided at a close earns the next move, not the one before it (R1)", () => {
  // 100 → 110 was not held, 110 → 121 was (+10 %), 121 → 60.5 was not: out at 121 for 1 %.
  const rows: Rows = [
    [100, 0],
    [110, 1],
    [121, 0],
    [60.5, 0],
  ];
  expect(returnsOf(rows)).toEqual([
    [1, -0.01, 1],
    [2, 0.09, 1],
    [3, 0, 0],
  ]);
});

test("each return says what was held through its bar, which the first one has not paid for (R3)", () => {
  const bars = barsOf();
  const run = new TaskRun([returns(positionOf(bars), bars, { cost: 0.01 })]);
  run.feed("bars", "A", [0, 100, 1], [minute, 110, 0], [2 * minute, 110, 0]);
  const rows = run.take().filter(([name]) => name === "returns");
  expect(rows.map(([, , , ret, , held]) => [Number(ret!.toFixed(12)), held])).toEqual([
    [0.09, 1],
    [0, 0],
  ]);
});

test("a short position earns a fall; turning from short to long trades two", () => {
  const rows: Rows = [
    [100, -1],
    [90, 1],
    [99, 1],
  ];
  expect(returnsOf(rows)).toEqual([
    [1, 0.08, 2],
    [2, 0.1, 0],
  ]);
});

test("half a position earns half the move and costs half", () => {
  const rows: Rows = [
    [100, 0],
    [100, 0.5],
    [110, 0.5],
  ];
  expect(returnsOf(rows)).toEqual([
    [1, -0.005, 0.5],
    [2, 0.05, 0],
  ]);
});

test("a position holds until there is another one (R2)", () => {
  // In with the second bar; the two bars after it say nothing; out with the fifth.
  const rows: Rows = [
    [100, 0],
    [100, 1],
    [110, 9],
    [121, 9],
    [121, 0],
  ];
  expect(returnsOf(rows)).toEqual([
    [1, -0.01, 1],
    [2, 0.1, 0],
    [3, 0.1, 0],
    [4, -0.01, 1],
  ]);
});

test("the first return after a gap spans it, and NaN gives NaN (R4)", () => {
  const rows: Rows = [[100, 1], null, null, [120, 1], [Number.NaN, 1], [150, 1], [165, 1]];
  expect(returnsOf(rows)).toEqual([
    [3, 0.2, 0],
    [4, Number.NaN, 0],
    [5, Number.NaN, 0],
    [6, 0.1, 0],
  ]);
});

test("a position on longer bars acts at their close and holds through the next one", () => {
  const bars = barsOf();
  const decided = new Node({
    name: "position",
    input: bars,
    interval: "3m",
    lookback: 1,
    schema: { position: "f64" },
    compute: (window) => ({ position: window.value("position") }),
  });
  const run = new TaskRun([returns(decided, bars, { cost: 0.01 })]);
  // Minutes 2, 5 and 8 close a 3m bar: out, in, out. The moves after minutes 5 to 7 are earned.
  const positions = [1, 1, 0, 0, 0, 1, 0, 0, 0];
  const closes = [100, 100, 100, 100, 100, 100, 110, 121, 133.1];
  run.feed("bars", "A", ...closes.map((close, i) => [i * minute, close, positions[i]!]));
  const rows = run
    .take()
    .filter(([name]) => name === "returns")
    .map(([, , ts, ret, traded]) => [ts / minute, Number(ret!.toFixed(12)), traded]);
  expect(rows).toEqual([
    [5, -0.01, 1],
    [6, 0.1, 0],
    [7, 0.1, 0],
    [8, 0.09, 1],
  ]);
});

test("a field that is not there, a cost beyond 1 and a position whose bars do not fit are refused by name", () => {
  const bars = barsOf();
  const messageOf = (make: () => unknown) => {
    try {
      make();
    } catch (error) {
      const { code, message } = error as QmtlError;
      return `${code}: ${message}`;
    }
    return "none";
  };
  const noPosition = new Node({
    name: "side",
    input: bars,
    lookback: 1,
    schema: { side: "f64" },
    compute: () => ({ side: 1 }),
  });
  expect(messageOf(() => returns(noPosition, bars))).toBe(
    'ARGUMENT_INVALID: Cannot make "returns": its position has no field "position", it has side',
  );
  expect(messageOf(() => returns(bars, bars, { cost: 1.5 }))).toBe(
    'ARGUMENT_INVALID: Cannot make "returns": its cost is 1.5, wanted a fraction from 0 to 1',
  );
  expect(messageOf(() => returns(bars, barsOf("1h")))).toContain("don't fit the price's");
  expect(messageOf(() => returns(barsOf("1M"), barsOf("1s")))).toContain("don't fit the price's");
  expect(messageOf(() => returns(barsOf("1M"), barsOf("1M")))).toBe("none");
});
