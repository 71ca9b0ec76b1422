/**
 * Goal: a replay that is stopped anywhere and begun again with its state gives what one that was
 * left alone gives, bit for bit, no output twice. Method: bars in a memory store; back pressure
 * throws after a number of batches, as a killed thread would stop there.
 */
import { expect, test } from "bun:test";
import { openHistory, openState } from "../../../../connectors/memory/index.ts";
import { Join, StreamInput, sma, zscore } from "../../../../nodes/index.ts";
import { componentsOf } from "../../../../runtime/graph/components.ts";
import { buildGraph } from "../../../../runtime/graph/graph.ts";
import {
  type ColumnBatch,
  type HistoryStore,
  newColumnBatch,
  type StateStore,
  sliceColumns,
} from "../../../../runtime/index.ts";
import { type NodeRows, type TaskCounts } from "../../../../runtime/worker/protocol.ts";
import { seriesOf } from "../../../../runtime/worker/replay/replay.ts";
import { runReplay } from "../../../../runtime/worker/replay/replay-run.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { bitsOf } from "../../../harness/stored-rows.ts";
import { price } from "../../../harness/task-run.ts";

const signal = AbortSignal.timeout(30_000);
const minute = 60_000;
const bars = 10_000;
const batchRows = 1_000;
const symbols = ["AAA", "BBB"];

const streams = symbols.map(
  (symbol) => new StreamInput({ name: symbol, symbol, interval: "1m", period: 60, schema: price }),
) as [StreamInput<typeof price>, StreamInput<typeof price>];
const [a, b] = streams;
const spread = new Join({
  name: "spread",
  inputs: { a, b },
  lookback: 3,
  schema: { d: "f64" },
  compute: ({ a, b }) => ({ d: a.column("close").mean() - b.value("close") }),
});

const apart = buildGraph(
  [sma(a, "close", { length: 20 }), zscore(b, "close", { length: 60 })].map(
    ({ declaration }) => declaration,
  ),
);
const joined = buildGraph([spread, zscore(spread, "d", { length: 30 })].map((n) => n.declaration));

/** A store of the graph's bars that hands them out in small batches: many places to stop at. */
async function stored(graph: typeof apart): Promise<HistoryStore> {
  const store = await openHistory("memory:", { mode: "write", isSimulated: false }, signal);
  for (const [node, { kind, keys }] of graph.nodes.entries()) {
    if (kind !== "stream") continue;
    for (const [i, { key }] of keys.entries()) {
      const page = { rows: barsOf(node + i), have: [{ start: 0, end: bars * minute }], empty: [] };
      await store.persist(seriesOf(graph, node, key), page, signal);
    }
  }
  return {
    async *fetch(...args: Parameters<HistoryStore["fetch"]>) {
      for await (const batch of store.fetch(...args)) {
        for (let from = 0; from < batch.count; from += batchRows) {
          yield sliceColumns(batch, from, Math.min(batch.count, from + batchRows));
        }
      }
    },
  } as unknown as HistoryStore;
}

/** One in 50 bars is missing, another one per symbol. */
function barsOf(symbol: number): ColumnBatch {
  const rows = newColumnBatch(bars, 1);
  let count = 0;
  for (let i = 0; i < bars; i += 1) {
    if ((i + symbol * 7) % 50 === 3) continue;
    rows.ts[count] = i * minute;
    rows.columns[0]![count] = 100 + 10 * Math.sin(i / 37 + symbol) + (i % 11) / 7;
    count += 1;
  }
  return { ...rows, count };
}

/** Outputs by node and key, as they arrived. */
class Outputs {
  readonly rows = new Map<string, number[][]>();

  take(outputs: readonly NodeRows[]): void {
    for (const { node, key, rows } of outputs) {
      const all = this.rows.get(`${node} ${key}`) ?? [];
      for (let i = 0; i < rows.count; i += 1) {
        all.push([rows.ts[i]!, ...rows.columns.map((column) => column[i]!)]);
      }
      this.rows.set(`${node} ${key}`, all);
    }
  }
}

interface Part {
  readonly graph: typeof apart;
  readonly store: HistoryStore;
  readonly outputs: Outputs;
  readonly state?: StateStore;
  /** Batches until the replay stops, as if it were killed. */
  readonly stopsAfter?: number;
  readonly plan?: string;
}

async function run(part: Part): Promise<TaskCounts> {
  const components = componentsOf(part.graph);
  let left = part.stopsAfter ?? Number.POSITIVE_INFINITY;
  const roots = components.flatMap((component) => component.roots);
  return await runReplay(
    {
      graph: part.graph,
      store: part.store,
      components,
      ranges: roots.map(() => ({ start: 0, end: bars * minute })),
      isPoisoning: true,
      checkpoints:
        part.state === undefined
          ? undefined
          : { store: part.state, name: "test/0/0", plan: part.plan ?? "p", everyMs: 0 },
      onRows: () => undefined,
      onNote: () => undefined,
      onOutputs: (outputs) => part.outputs.take(outputs),
      drain: async () => {
        left -= 1;
        if (left <= 0) throw new Error("killed");
        await Promise.resolve();
      },
      settle: async () => await Promise.resolve(),
    },
    signal,
  );
}

for (const [name, graph] of [
  ["nodes over one stream each", apart],
  ["a join and a node on it", joined],
] as const) {
  test(`${name}: stopped after any batch and begun again, the outputs are the same`, async () => {
    const store = await stored(graph);
    const whole = new Outputs();
    const counts = await run({ graph, store, outputs: whole });
    for (const stopsAfter of [1, 2, 3, 5, 8]) {
      const state = await openState("memory:", signal);
      const outputs = new Outputs();
      let last: TaskCounts | undefined;
      for (let tries = 0; last === undefined && tries < 30; tries += 1) {
        // Upserts: what was put out after the last checkpoint comes again, and is the same.
        const own = new Outputs();
        const part = { graph, store, outputs: own, state, stopsAfter: stopsAfter + tries };
        last = await run(part).catch((error: unknown) => {
          expect(error).toEqual(new Error("killed"));
          return undefined;
        });
        for (const [id, rows] of own.rows) {
          const known = outputs.rows.get(id) ?? [];
          const from = known.findIndex(([ts]) => ts! >= rows[0]![0]!);
          const kept = from < 0 ? known : known.slice(0, from);
          // No hole and no step back: what is said again was said before.
          expect(bitsOf(known.slice(kept.length))).toBe(
            bitsOf(rows.slice(0, known.length - kept.length)),
          );
          outputs.rows.set(id, [...kept, ...rows]);
        }
      }
      expect([...outputs.rows.keys()].toSorted()).toEqual([...whole.rows.keys()].toSorted());
      for (const [id, rows] of whole.rows) expect(bitsOf(outputs.rows.get(id)!)).toBe(bitsOf(rows));
      const counted = ({ tallies, streams, nodes }: TaskCounts) => ({
        tallies,
        streams,
        refused: nodes.map(({ refused }) => refused),
      });
      expect(counted(last!)).toEqual(counted(counts));
    }
  });
}

test("the state of another plan is dropped: the replay starts anew", async () => {
  const store = await stored(apart);
  const state = await openState("memory:", signal);
  const first = new Outputs();
  const stopped = run({ graph: apart, store, outputs: first, state, stopsAfter: 4, plan: "one" });
  expect(await failureOf(stopped)).toEqual(new Error("killed"));
  const [whole, anew] = [new Outputs(), new Outputs()];
  await run({ graph: apart, store, outputs: whole });
  await run({ graph: apart, store, outputs: anew, state, plan: "another" });
  for (const [id, rows] of whole.rows) expect(bitsOf(anew.rows.get(id)!)).toBe(bitsOf(rows));
});

test("a replay that is complete leaves no state behind", async () => {
  const store = await stored(apart);
  const state = await openState("memory:", signal);
  await run({ graph: apart, store, outputs: new Outputs(), state });
  const again = new Outputs();
  await run({ graph: apart, store, outputs: again, state });
  expect([...again.rows.values()].every((rows) => rows.length > 9_000)).toBe(true);
});
