/**
 * Goal: the generated way into a stream takes each record as its rule says (P1), whole batches and
 * single rows alike. Method: random records, in and out of order, through batches of random length;
 * a plain list of the accepted ones is the model.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Join, Node, StreamInput, sma, zscore } from "../../../../../nodes/index.ts";
import { type ColumnBatch } from "../../../../../runtime/index.ts";
import { price, rowsOf, TaskRun } from "../../../../harness/task-run.ts";

const m = 60_000;
const bars = new StreamInput({
  name: "bars",
  symbols: ["A", "B"],
  interval: "1m",
  period: 5,
  schema: price,
});
const last = new Node({
  name: "last",
  input: bars,
  lookback: 1,
  schema: { x: "f64", n: "f64" },
  compute: (w, _params, { time }) => ({ x: w.value("close"), n: time }),
});

const record = fc.record({
  key: fc.constantFrom("A", "B"),
  minute: fc.integer({ min: 0, max: 40 }),
  close: fc.integer({ min: 0, max: 9 }),
});

test("records at or before the newest of their key fire nothing, all others fire once (P1)", () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 120 }), (records) => {
      const run = new TaskRun([last]);
      const newest = { A: -1, B: -1 };
      const expected = { A: [] as number[][], B: [] as number[][] };
      let late = 0;
      let duplicate = 0;
      for (const { key, minute, close } of records) {
        run.feed("bars", key, [minute * m, close]);
        if (minute > newest[key]) {
          newest[key] = minute;
          expected[key].push([minute * m, close, (minute + 1) * m]);
        } else if (minute === newest[key]) duplicate += 1;
        else late += 1;
      }
      const emitted = run.take();
      for (const key of ["A", "B"] as const) {
        const own = emitted.filter(([, of]) => of === key).map(([, , ...rest]) => rest);
        expect(own).toEqual(expected[key] as never);
      }
      const accepted = expected.A.length + expected.B.length;
      expect(run.task.counts().streams[0]?.counts).toEqual({ accepted, late, duplicate });
    }),
  );
});

test("a batch in one call, row by row, or written in place gives the same", () => {
  const rows = Array.from({ length: 300 }, (_, i) => [i * m, (i * 7) % 11]);
  const batch = rowsOf(rows);
  const whole = new TaskRun([last]);
  whole.feed("bars", "A", ...rows);
  const single = new TaskRun([last]);
  for (let i = 0; i < batch.count; i += 1) {
    single.task.streamOf(0).takeColumns(0, batch, i, i + 1);
  }
  const placed = new TaskRun([last]);
  const loop = placed.task.streamOf(0);
  for (const [ts = 0, close = 0] of rows) {
    const at = loop.store.reserve(0);
    loop.store.values[at] = ts;
    loop.store.values[at + loop.store.stride] = close;
    loop.take(0, at, 0);
  }
  const expected = whole.take();
  expect(expected).toHaveLength(300);
  expect(single.take()).toEqual(expected as never);
  expect(placed.take()).toEqual(expected as never);
});

const mean = sma(bars, "close", { length: 3 });
const z = zscore(bars, "close", { length: 5 });
const wide = new Node({
  name: "wide",
  input: bars,
  interval: "3m",
  lookback: 2,
  schema: { x: "f64" },
  compute: (w, _params, { time }) => (time % 2 === 0 ? undefined : { x: w.column("close").sum() }),
});
const both = new Join({
  name: "both",
  inputs: { mean, z },
  schema: { x: "f64" },
  compute: ({ mean: a, z: b }) => ({ x: a.value("sma") * b.value("z") }),
});
const more = [1, 2, 3].map((by) => {
  const params = { by };
  return new Node({
    name: `more_${by}`,
    input: bars,
    lookback: by,
    schema: { x: "f64" },
    params,
    compute: (w, { by: times }) => ({ x: w.value("close") * times }),
  });
});

const inserting = new StreamInput({
  name: "bars",
  symbols: ["A", "B"],
  interval: "1m",
  period: 5,
  schema: price,
  onLate: "insert",
});

/** Trades: some of one time, some late, some there already, off the grid too. */
const trades = fc.array(
  fc.record({
    skip: fc.constantFrom(m, m, m, m, 0, 2 * m, -m, 7_000),
    seq: fc.integer({ min: 0, max: 2 }),
    close: fc.integer({ min: -9, max: 9 }),
  }),
  { minLength: 1, maxLength: 150 },
);

/** What a task has come to: outputs, counts, and the rows that its windows hold. */
function stateOf(run: TaskRun): unknown {
  const { store } = run.task.streamOf(0);
  const rows = store.rows[0]!;
  const end = store.ends[0]!;
  const held = [0, store.stride].map((at) => store.values.slice(at + end - rows, at + end));
  return [run.take(), run.task.counts(), held, store.stamps[0], store.closes[0]];
}

// Nodes in the loop, nodes that are called, and nodes that need the plain loop.
test.each([
  ["3 nodes", [both]],
  ["6 nodes", [both, ...more]],
  ["a coarser node", [both, wide]],
  ["late ones inserted", [zscore(inserting, "close", { length: 4 })]],
])("batches of any length come to what the plain loop does row by row: %s", (_, nodes) => {
  const lengths = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 });
  fc.assert(
    fc.property(trades, lengths, fc.boolean(), (steps, cuts, isPoisoning) => {
      const batch = rowsOf(steps.map(({ close }) => [0, close]));
      let ts = 100 * m;
      for (const [i, { skip, seq }] of steps.entries()) {
        ts += skip;
        batch.ts[i] = ts;
        batch.seq[i] = seq;
      }
      const batches = new TaskRun(nodes, { isPoisoning });
      const plain = new TaskRun(nodes, { isPoisoning, isInterpreted: true });
      for (let from = 0, turn = 0; from < batch.count; turn += 1) {
        const to = Math.min(batch.count, from + cuts[turn % cuts.length]!);
        batches.task.streamOf(0).takeColumns(0, batch, from, to);
        from = to;
      }
      takeEach(plain, batch);
      expect(stateOf(batches)).toEqual(stateOf(plain));
    }),
  );
});

function takeEach(run: TaskRun, batch: ColumnBatch): void {
  const loop = run.task.streamOf(0);
  for (let i = 0; i < batch.count; i += 1) {
    const at = loop.store.reserve(0);
    loop.store.values[at] = batch.ts[i]!;
    loop.store.values[at + loop.store.stride] = batch.columns[0]![i]!;
    loop.take(0, at, batch.seq[i]!);
  }
}
