import { type MessagePort } from "node:worker_threads";
import {
  type CheckpointStore,
  type Commit,
  type CommitResult,
  type Restored,
} from "../../contract/state-store.ts";
import { reasonOf } from "../../core/clock.ts";
import { type ErrorData, fromErrorData, QmtlError } from "../../core/errors.ts";

/** A piece of a base, as `CheckpointStore.stageBase` takes it. */
export type BasePiece = Parameters<CheckpointStore["stageBase"]>[1];

/** What a thread asks of the state that its coordinator keeps, one call of `CheckpointStore` each. */
export type StateCall =
  | { readonly kind: "acquire"; readonly task: string }
  | { readonly kind: "stageBase"; readonly task: string; readonly piece: BasePiece }
  | { readonly kind: "commit"; readonly task: string; readonly commit: Commit }
  | { readonly kind: "drop"; readonly task: string };

/** A call on its way, and its answer. */
export interface StateRequest {
  readonly id: number;
  readonly call: StateCall;
}

/** What the call came to: its result, or the error it threw. */
export type StateAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ErrorData };

/**
 * A thread's end of the state that its coordinator keeps while the run lasts: it outlives the thread,
 * not the process. Bytes are copied once and then handed over, so the caller reuses its own.
 */
export class KeptState implements CheckpointStore {
  readonly #port: MessagePort;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #id = 0;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (answer: StateAnswer) => this.#settle(answer));
  }

  async acquire(task: string, signal: AbortSignal): Promise<Restored> {
    return await this.#ask<Restored>({ kind: "acquire", task }, [], signal);
  }

  async stageBase(task: string, piece: BasePiece, signal: AbortSignal): Promise<"OK" | "FENCED"> {
    const bytes = piece.bytes.slice();
    return await this.#ask(
      { kind: "stageBase", task, piece: { ...piece, bytes } },
      [bytes],
      signal,
    );
  }

  async commit(task: string, commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const meta = commit.meta.slice();
    const delta = commit.delta.slice();
    const call = { kind: "commit", task, commit: { ...commit, meta, delta } } as const;
    return await this.#ask(call, [meta, delta], signal);
  }

  async drop(task: string, signal: AbortSignal): Promise<void> {
    await this.#ask({ kind: "drop", task }, [], signal);
  }

  /** Ends the connection; what still waits for an answer fails. */
  close(): void {
    this.#port.close();
    for (const { reject } of this.#waiting.values()) {
      reject(
        new QmtlError("STORE_CLOSED", "Cannot wait for the state: it is closed, wanted it open"),
      );
    }
    this.#waiting.clear();
  }

  /** Sends a call and waits; a stop gives up the wait, and what was sent may still be done. */
  async #ask<T>(
    call: StateCall,
    bytes: readonly Uint8Array<ArrayBuffer>[],
    signal: AbortSignal,
  ): Promise<T> {
    signal.throwIfAborted();
    this.#id += 1;
    const id = this.#id;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    const stop = (): void => answer.reject(reasonOf(signal));
    signal.addEventListener("abort", stop, { once: true });
    try {
      const request: StateRequest = { id, call };
      this.#port.postMessage(
        request,
        bytes.map(({ buffer }) => buffer),
      );
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the other end calls the same method
      return (await answer.promise) as T;
    } finally {
      signal.removeEventListener("abort", stop);
      this.#waiting.delete(id);
    }
  }

  #settle(answer: StateAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    if ("error" in answer) waiting?.reject(fromErrorData(answer.error));
    else waiting?.resolve(answer.result);
  }
}
