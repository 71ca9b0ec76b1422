import { openState as openRedis } from "../../connectors/redis/index.ts";
import { openState as openSqlite } from "../../connectors/sqlite/index.ts";
import { ByteWriter } from "../../runtime/worker/checkpoint/bytes.ts";
import { LiveCheckpoints } from "../../runtime/worker/checkpoint/live-checkpoints.ts";
import { openedOf } from "../runtime/worker/live/loop/opened.ts";
import { type PlainBar } from "./live-log.ts";
import { Means } from "./live-strategies.ts";

/** A run of `Means`: its topics, and where it kept its state. */
export interface KeptRun {
  readonly symbols: readonly [input: string, output: string];
  readonly deployment: string;
  /** URL of the state store. */
  readonly state: string;
}

/** A task's state, written as if nothing of it had been saved, and the position it belongs to. */
export interface TaskState {
  readonly position: number;
  readonly bytes: string;
}

/** Bars that lie in the memory log at once. */
const chunkBars = 20_000;

type Tasks = Awaited<ReturnType<typeof openedOf>>["tasks"];

function statesOf(tasks: Tasks): readonly TaskState[] {
  return tasks.map((task) => {
    const out = new ByteWriter();
    out.reset();
    for (const part of task.parts()) {
      part.beginBase();
      part.writeDelta(out);
    }
    return { position: task.feeds[0]!.reader.nextOffset, bytes: out.finish().toHex() };
  });
}

/** What the store holds of each partition; shuts out whoever owned it. */
export async function savedStates(
  { deployment, state, symbols }: KeptRun,
  partitions: number,
): Promise<readonly TaskState[]> {
  const open = state.startsWith("redis:") ? openRedis : openSqlite;
  const store = await open(state, AbortSignal.timeout(30_000));
  const { log, tasks } = await openedOf(Means, {
    symbols,
    partitions,
    checkpoints: (order) => new LiveCheckpoints(store, order),
    more: { deployment },
  });
  const states = statesOf(tasks);
  await log.transport.close();
  await store.close();
  return states;
}

/** What a task that was never stopped holds after the bars of each partition. */
export async function statesAfter(
  symbols: KeptRun["symbols"],
  bars: readonly (readonly PlainBar[])[],
): Promise<readonly TaskState[]> {
  const opened = await openedOf(Means, { symbols, partitions: bars.length });
  const { held, log, tasks, turn } = opened;
  held.isOpen = true;
  for (const [partition, own] of bars.entries()) {
    const { reader } = tasks[partition]!.feeds[0]!;
    for (let at = 0; at < own.length; at += chunkBars) {
      const chunk = own.slice(at, at + chunkBars);
      await log.put(symbols[0], chunk);
      while (reader.nextOffset < at + chunk.length) await turn();
    }
  }
  const states = statesOf(tasks);
  await log.transport.close();
  return states;
}
