/**
 * Goal: the generated way into a stream takes each record as its rule says (P1), whole batches and
 * single rows alike. Method: random records, in and out of order, through batches of random length;
 * a plain list of the accepted ones is the model.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Node, StreamInput } from "../../../../../nodes/index.ts";
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
