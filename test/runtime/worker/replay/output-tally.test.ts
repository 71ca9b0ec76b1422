import { expect, test } from "bun:test";
import { OutputTally } from "../../../../runtime/worker/replay/output-tally.ts";
import { rowsOf } from "../../../harness/task-run.ts";

const outputs = (key: string, ...rows: number[][]) => [{ node: 3, key, rows: rowsOf(rows) }];

test("outputs are counted by node and key, with the first time and the newest values", () => {
  const tally = new OutputTally();
  tally.add(outputs("A", [10, 1, 2], [20, 3, Number.NaN]));
  tally.add(outputs("B", [15, 7, 8]));
  tally.add(outputs("A", [30, 5, 6]));
  expect(tally.list()).toEqual([
    { node: 3, key: "A", outputs: 3, firstTs: 10, lastTs: 30, lastValues: [5, 6] },
    { node: 3, key: "B", outputs: 1, firstTs: 15, lastTs: 15, lastValues: [7, 8] },
  ]);
});

test("a tally goes on from what was noted, as plain data: no value is null", () => {
  const first = new OutputTally();
  first.add(outputs("A", [10, 1, Number.NaN]));
  const second = new OutputTally();
  second.restore(JSON.parse(JSON.stringify(first.list())));
  expect(second.list()[0]?.lastValues).toEqual([1, null]);
  second.add(outputs("A", [20, 2, 3]));
  expect(second.list()).toMatchObject([{ outputs: 2, firstTs: 10, lastTs: 20 }]);
});
