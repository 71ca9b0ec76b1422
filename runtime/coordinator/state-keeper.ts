import { type MessagePort } from "node:worker_threads";
import { type CheckpointStore } from "../contract/state-store.ts";
import { toErrorData } from "../core/errors.ts";
import {
  type StateAnswer,
  type StateCall,
  type StateRequest,
} from "../worker/checkpoint/kept-state.ts";

/**
 * Answers a thread's calls from `store` until the port is closed. A thread that was ended has no
 * part in the store any more once its successor has acquired its tasks: the epoch shuts it out.
 */
export function keepState(store: CheckpointStore, port: MessagePort): void {
  // A stop is the thread's to obey: what it still commits then is the run's last state.
  const { signal } = new AbortController();
  port.on("message", (request: StateRequest) => {
    void answerTo(store, request, signal).then((answer) => port.postMessage(answer));
  });
}

async function answerTo(
  store: CheckpointStore,
  { id, call }: StateRequest,
  signal: AbortSignal,
): Promise<StateAnswer> {
  try {
    return { id, result: await resultOf(store, call, signal) };
  } catch (error) {
    return { id, error: toErrorData(error) };
  }
}

async function resultOf(
  store: CheckpointStore,
  call: StateCall,
  signal: AbortSignal,
): Promise<unknown> {
  switch (call.kind) {
    case "acquire": {
      const { base, log, ...restored } = await store.acquire(call.task, signal);
      return { ...restored, base: await Array.fromAsync(base), log: await Array.fromAsync(log) };
    }
    case "stageBase":
      return await store.stageBase(call.task, call.piece, signal);
    case "commit":
      return await store.commit(call.task, call.commit, signal);
    case "drop":
      return await store.drop(call.task, signal);
  }
}
