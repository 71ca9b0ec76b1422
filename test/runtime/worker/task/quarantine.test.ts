/**
 * Goal: a node that is released, and all that reads from it, gives what it would give had it never
 * been quarantined, bit for bit, or nothing yet. Method: the same bars go through a run that never
 * was, and through one that loses a node at bar 100 with state from before and gets it back at 200.
 */
import { expect, test } from "bun:test";
import { ema, Join, Node, Operator, sma, zscore } from "../../../../nodes/index.ts";
import { StreamInput } from "../../../../nodes/stream-input.ts";
import { buildGraph } from "../../../../runtime/graph/graph.ts";
import { ByteReader, ByteWriter } from "../../../../runtime/worker/checkpoint/bytes.ts";
import { KeysPart } from "../../../../runtime/worker/checkpoint/parts.ts";
import { fetched, fixed, logBatch } from "../live/log-bytes.ts";
import { PartitionRun } from "../live/partition-run.ts";

const minute = 60_000;
const keys = ["A", "B"];
const closes = { close: "f64" } as const;

const input = new StreamInput({
  topic: "in",
  symbols: "*",
  maxKeys: 4,
  interval: "1m",
  period: 8,
  schema: closes,
});
const mean = sma(input, "close", { length: 3, name: "mean" });
const last3 = new Node({
  name: "last3",
  input: mean,
  lookback: 3,
  schema: { first: "f64", mean: "f64" },
  compute: (window) => ({
    first: window.column("sma").first,
    mean: window.column("sma", 3).mean(),
  }),
});
const smooth = ema(mean, "sma", { length: 2, name: "smooth" });
/** A step that trusts its state to be of the record before: stale state would show. */
const change = new Operator({
  name: "change",
  input: mean,
  lookback: 2,
  schema: closes,
  state: 1,
  step(window, _params: object, state, out: { close: number }) {
    const now = window.value("sma", -1);
    const was = Number.isNaN(state[0]!) ? window.value("sma", -2) : state[0]!;
    out.close = now - was;
    state[0] = now;
    return true;
  },
});
const wide = new Node({
  name: "wide",
  input: mean,
  interval: "3m",
  lookback: 4,
  schema: closes,
  compute: (window) => ({ close: window.value("sma", -4) }),
});
const spread = new Join({
  name: "spread",
  inputs: { bars: input, mean },
  onMissing: "last",
  lookback: 1,
  schema: closes,
  compute: ({ bars, mean: means }) => ({
    close: bars.value("close", -1) - means.value("sma", -1),
  }),
});
const other = zscore(input, "close", { length: 4, name: "other" });

/** Bars `from` to `to` of both keys, as an answer of the log. */
function bars(from: number, to: number) {
  const records = Array.from({ length: to - from }, (_, i) => from + i).flatMap((at) =>
    keys.map((key, k) => {
      const close = ((at * 7_919 + k * 104_729) % 1_009) / 7;
      return { key, value: fixed("f", [at * minute, close]) };
    }),
  );
  return fetched([logBatch(records, { at: from * keys.length })]);
}

const partsOf = ({ partition }: PartitionRun) => [
  new KeysPart(partition.keys),
  ...partition.task.parts(),
];

/** `to` as a restart leaves it that goes on from the checkpoint of `from`. */
function restore(from: PartitionRun, to: PartitionRun): void {
  const writer = new ByteWriter();
  for (const part of partsOf(from)) {
    part.beginBase();
    part.writeDelta(writer);
  }
  const reader = new ByteReader(writer.finish());
  for (const part of partsOf(to)) part.read(reader);
  to.partition.nextOffset = from.partition.nextOffset;
}

/** Outputs of `node`, and the bar that the first of them belongs to. */
function of(run: PartitionRun, node: string, fromBar = 0) {
  const own = run.outputs.filter(([name, , ts]) => name === node && Number(ts) >= fromBar * minute);
  return { own, first: own.length === 0 ? undefined : Number(own[0]![2]) / minute };
}

// The second graph has nodes that the generated loop does not cover.
for (const nodes of [
  [last3, smooth, change, other],
  [last3, smooth, change, wide, spread, other],
]) {
  const graph = buildGraph(nodes.map(({ declaration }) => declaration));
  const names = graph.nodes.slice(1).map(({ name }) => name);
  const lost = new Set([graph.nodes.find(({ name }) => name === "mean")!.index]);

  test(`a released node begins where it would be (${names.join(", ")})`, () => {
    const never = new PartitionRun(nodes).consume(bars(0, 400));
    const before = new PartitionRun(nodes).consume(bars(0, 100));
    const run = new PartitionRun(nodes, lost);
    restore(before, run);
    run.partition.task.quarantine(lost);

    run.consume(bars(100, 200));
    expect(run.partition.nextOffset).toBe(200 * keys.length);
    expect(run.outputs).toEqual(of(never, "other", 100).own.slice(0, 100 * keys.length));

    run.partition.task.quarantine(new Set());
    run.consume(bars(200, 400));
    const firsts: Record<string, number | undefined> = {};
    for (const name of names) {
      const { first, own } = of(run, name);
      firsts[name] = first;
      expect(own).toEqual(of(never, name, first).own);
    }
    // `mean` has its window at once; readers wait for as many of its records as they look back.
    expect(firsts).toEqual(
      Object.fromEntries(
        Object.entries({
          mean: 200,
          last3: 202,
          smooth: 264,
          change: 201,
          wide: 201,
          spread: 200,
          other: 100,
        }).filter(([name]) => names.includes(name)),
      ),
    );
  });

  test(`a second restart in quarantine changes nothing (${names.join(", ")})`, () => {
    const before = new PartitionRun(nodes).consume(bars(0, 100));
    const runs = [false, true].map((isRestarted) => {
      const first = new PartitionRun(nodes, lost);
      restore(before, first);
      first.partition.task.quarantine(lost);
      first.consume(bars(100, 150));
      let run = first;
      if (isRestarted) {
        run = new PartitionRun(nodes);
        restore(first, run);
      } else run.partition.task.quarantine(new Set());
      run.consume(bars(150, 300));
      return run.outputs.filter(([, , ts]) => Number(ts) >= 150 * minute);
    });
    // Whoever begins without the quarantine finds nothing from before it.
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]!.filter(([name]) => name === "smooth").length).toBeGreaterThan(0);
  });
}
