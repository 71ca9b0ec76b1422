/**
 * Goal: a replay that was killed after any batch goes on from its checkpoint with the outputs and
 * counts of one that was not. Method: a store hands out small batches, a checkpoint is made at each
 * of them, and the replay is broken off after every possible one.
 */
import { describe, expect, test } from "bun:test";
import { openState } from "../../../../connectors/memory/index.ts";
import { componentsOf } from "../../../../runtime/graph/components.ts";
import { prepare, type StrategyClass } from "../../../../runtime/graph/strategy.ts";
import {
  type HistoryStore,
  newColumnBatch,
  type StateStore,
  type TimeRange,
} from "../../../../runtime/index.ts";
import { type NodeRows, type TaskCounts } from "../../../../runtime/worker/protocol.ts";
import { runReplay } from "../../../../runtime/worker/replay/replay-run.ts";
import { BinanceHistory } from "../../../../strategies/binance_history.ts";
import { Momentum } from "../../../../strategies/momentum.ts";

const minute = 60_000;
const start = Date.UTC(2025, 0, 1);
const bars = 400;
const range: TimeRange = { start, end: start + bars * minute };
const signal = AbortSignal.timeout(60_000);
const name = "Replay-backtest/0/0";

/** Bars of any key, in batches of `batchRows`; notes what was asked for. */
class Bars implements Pick<HistoryStore, "fetch"> {
  readonly asked: TimeRange[] = [];

  async *fetch(series: { readonly key: string }, { start: from, end }: TimeRange) {
    this.asked.push({ start: from, end });
    const seed = series.key.codePointAt(0) ?? 0;
    // Keys come in batches of different lengths, so that a join meets their ends one by one.
    const batchRows = 30 + (seed % 7);
    for (let at = Math.ceil(from / minute) * minute; at < end; at += batchRows * minute) {
      const count = Math.min(batchRows, Math.ceil((end - at) / minute));
      const batch = newColumnBatch(count, 10);
      for (let i = 0; i < count; i += 1) {
        const ts = at + i * minute;
        batch.ts[i] = ts;
        for (const [c, column] of batch.columns.entries()) {
          column[i] =
            c === 5 ? ts + minute - 1 : 100 + Math.round(Math.sin(ts / 7e5 + seed + c) * 50);
        }
      }
      yield await Promise.resolve(batch);
    }
  }
}

/** What a replay has put out: the values by node, key and ts, as a store keeps them. */
class Outputs {
  readonly rows = new Map<string, string>();
  readonly notes: string[] = [];
  counts: TaskCounts | undefined;

  take(outputs: readonly NodeRows[]): void {
    for (const { node, key, rows } of outputs) {
      for (let i = 0; i < rows.count; i += 1) {
        const values = rows.columns.map((column) => column[i]);
        this.rows.set(`${node} ${key} ${rows.ts[i]}`, values.join(" "));
      }
    }
  }

  get seen(): unknown {
    const { tallies = [], streams = [] } = this.counts ?? {};
    // The order of a tally is that of the first flush: checkpoints change it, and it says nothing.
    const byName = tallies.map((tally) => [`${tally.node} ${tally.key}`, tally] as const);
    return { rows: Object.fromEntries(this.rows), tallies: Object.fromEntries(byName), streams };
  }
}

interface Replay {
  readonly strategy: StrategyClass;
  readonly store: Bars;
  readonly outputs: Outputs;
  readonly state?: StateStore;
  readonly plan?: string;
  /** Batches after which it is broken off; the outputs since the last checkpoint may be lost. */
  readonly batchesMax?: number;
  readonly onBatch?: () => Promise<unknown>;
}

class Killed extends Error {}

/** Runs it; returns the batches it took. @throws Killed. */
async function replay(run: Replay): Promise<number> {
  const { strategy, store, outputs, state, plan = "plan", batchesMax = Infinity } = run;
  const { graph } = prepare(strategy, { symbols: ["BTCUSDT", "ETHUSDT", "SOL"], interval: "1m" });
  const components = componentsOf(graph);
  let batches = 0;
  let waiting: (readonly NodeRows[])[] = [];
  const settle = (): void => {
    for (const some of waiting) outputs.take(some);
    waiting = [];
  };
  const counts = await runReplay(
    {
      graph,
      store: store as unknown as HistoryStore,
      components,
      ranges: components.flatMap(({ roots }) => roots.map(() => range)),
      isPoisoning: true,
      checkpoints: state === undefined ? undefined : { store: state, name, plan, everyMs: 0 },
      onOutputs: (some) => waiting.push(some),
      onRows: () => undefined,
      onNote: (text) => outputs.notes.push(text),
      drain: async () => {
        await run.onBatch?.();
        batches += 1;
        if (batches > batchesMax) throw new Killed();
      },
      settle: async () => await Promise.resolve(settle()),
    },
    signal,
  );
  outputs.counts = counts;
  return batches;
}

for (const strategy of [BinanceHistory, Momentum]) {
  describe(strategy.name, () => {
    test("broken off after any batch, it goes on with equal outputs and counts", async () => {
      const alone = new Outputs();
      const batches = await replay({ strategy, store: new Bars(), outputs: alone });
      expect(batches).toBeGreaterThan(15);
      for (let batchesMax = 1; batchesMax < batches; batchesMax += 1) {
        const state = await openState("memory:", signal);
        const run = { strategy, state, outputs: new Outputs() };
        expect(replay({ ...run, store: new Bars(), batchesMax })).rejects.toThrow(Killed);
        const store = new Bars();
        const rest = await replay({ ...run, store });
        expect(run.outputs.seen).toEqual(alone.seen);
        expect(run.outputs.notes).toEqual([
          expect.stringMatching(
            /^Going on from the checkpoint of Replay-backtest\/0\/0: [1-9]\d* bars/,
          ),
        ]);
        // It read less: what the checkpoint has is not asked for.
        expect(rest).toBeLessThan(batches);
        expect(store.asked.some((asked) => asked.start > range.start)).toBe(true);
        const { meta } = await state.acquire(name, signal);
        expect(meta).toBeUndefined();
        await state.close();
      }
    }, 30_000);

    test("killed again and again, it gets to the end", async () => {
      const alone = new Outputs();
      await replay({ strategy, store: new Bars(), outputs: alone });
      const state = await openState("memory:", signal);
      const run = { strategy, state, outputs: new Outputs(), store: new Bars() };
      let kills = 0;
      for (;;) {
        try {
          await replay({ ...run, batchesMax: 2 });
          break;
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
          kills += 1;
        }
      }
      expect(kills).toBeGreaterThan(5);
      expect(run.outputs.seen).toEqual(alone.seen);
      await state.close();
    });
  });
}

describe("state that a replay does not go on with", () => {
  const strategy = Momentum;

  async function brokenOff(): Promise<{ state: StateStore; alone: Outputs }> {
    const alone = new Outputs();
    await replay({ strategy, store: new Bars(), outputs: alone });
    const state = await openState("memory:", signal);
    const run = { strategy, state, store: new Bars(), outputs: new Outputs() };
    expect(replay({ ...run, batchesMax: 6 })).rejects.toThrow(Killed);
    return { state, alone };
  }

  test("another plan's is dropped, and the replay is whole", async () => {
    const { state, alone } = await brokenOff();
    const outputs = new Outputs();
    await replay({ strategy, state, store: new Bars(), outputs, plan: "other" });
    expect(outputs.seen).toEqual(alone.seen);
    expect(outputs.notes).toEqual([]);
    await state.close();
  });

  test("unsound state is dropped with all that was read of it, and the replay is whole", async () => {
    const { state, alone } = await brokenOff();
    const { epoch, commit, meta } = await state.acquire(name, signal);
    const bad = {
      epoch,
      commit: commit + 1,
      meta: meta!,
      delta: Uint8Array.of(1, 2),
      swapsBase: false,
    };
    // The deltas before it are sound: the windows are full when the fault is seen.
    expect(await state.commit(name, bad, signal)).toBe("OK");
    const outputs = new Outputs();
    await replay({ strategy, state, store: new Bars(), outputs });
    expect(outputs.seen).toEqual(alone.seen);
    expect(outputs.notes).toEqual([]);
    await state.close();
  });

  test("a replay whose checkpoints another run takes over goes on without, and leaves them alone", async () => {
    const alone = new Outputs();
    await replay({ strategy, store: new Bars(), outputs: alone });
    const state = await openState("memory:", signal);
    const outputs = new Outputs();
    let epoch = 0;
    const onBatch = async () => {
      if (epoch === 0) ({ epoch } = await state.acquire(name, signal));
    };
    await replay({ strategy, state, store: new Bars(), outputs, onBatch });
    expect(outputs.seen).toEqual(alone.seen);
    expect(outputs.notes).toEqual([
      expect.stringMatching(/^Going on without checkpoints: .*another owner took over/),
    ]);
    expect((await state.acquire(name, signal)).epoch).toBe(epoch + 1);
    await state.close();
  });
});
