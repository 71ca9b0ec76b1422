import { expect, test } from "bun:test";
import { Join, Node, StreamInput } from "../../../../../nodes/index.ts";
import { StageProgress } from "../../../../../runtime/worker/live/repartition/stage-progress.ts";
import { price, TaskRun } from "../../../../harness/task-run.ts";

const minute = 60_000;
const stream = (name: string, interval: "1m" | "1h" = "1m") =>
  new StreamInput({ name, topic: name, symbols: ["K", "L"], interval, period: 2, schema: price });

/** A task over `a` and `b`, joined by key: what it emits is `key@minute sum`. */
function joined(b = stream("b")) {
  const sum = new Join({
    name: "sum",
    inputs: { a: stream("a"), b },
    lookback: 1,
    onMissing: "last",
    schema: price,
    compute: (windows) => ({
      close: windows.a.value("close", -1) + windows.b.value("close", -1),
    }),
  });
  const last = new Node({
    name: "last",
    input: sum,
    lookback: 1,
    schema: price,
    compute: (window) => ({ close: window.value("close", -1) }),
  });
  const run = new TaskRun([last]);
  const progress = new StageProgress(run.task, [0, 1]);
  const taken = (name: string): readonly string[] => {
    progress.advance();
    const own = run.take().filter(([node]) => node === name);
    return own.map(([, key, ts, ...values]) => `${key}@${ts / minute} ${values.join(" ")}`);
  };
  return { run, progress, taken };
}

test("a join runs for a time when every input has come to it, key by key (R1, R2)", () => {
  const { run, taken } = joined();
  run.feed("a", "K", [0, 1], [minute, 2]).feed("b", "L", [0, 9]);
  expect(taken("sum")).toEqual([]);
  run.feed("b", "K", [0, 10]);
  expect(taken("last")).toEqual(["K@0 11"]);
  run.feed("b", "K", [3 * minute, 20]);
  expect(taken("last")).toEqual(["K@1 12"]);
});

test("of a coarser input only what closes is waited for (R1)", () => {
  const { run, taken } = joined(stream("b", "1h"));
  const hour = 60 * minute;
  run.feed("b", "K", [0, 100]).feed("a", "K", [hour, 1], [hour + minute, 2]);
  expect(taken("sum")).toEqual(["K@60 101", "K@61 102"]);
  // What closes at two o'clock needs the hour that closes with it.
  run.feed("a", "K", [2 * hour - minute, 3]);
  expect(taken("sum")).toEqual([]);
  run.feed("b", "K", [hour, 200]);
  expect(taken("sum")).toEqual(["K@119 203"]);
});

test("a mark says that nothing more comes, of one key or of all", () => {
  const { run, progress, taken } = joined();
  run.feed("a", "K", [0, 1]).feed("b", "K", [0, 10]).feed("a", "L", [0, 2]).feed("b", "L", [0, 20]);
  expect(taken("sum")).toEqual(["K@0 11", "L@0 22"]);
  run.feed("a", "K", [minute, 3]).feed("a", "L", [minute, 4]);
  expect(taken("sum")).toEqual([]);
  progress.mark(1, 0, 2 * minute);
  expect(taken("sum")).toEqual(["K@1 13"]);
  progress.markAll(1, 2 * minute);
  expect(taken("sum")).toEqual(["L@1 24"]);
  progress.mark(1, 0, minute);
  expect(progress.of(1)[0]).toBe(2 * minute);
});
