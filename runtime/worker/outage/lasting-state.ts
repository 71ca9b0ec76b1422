import { type ConnectorRef, openByRef } from "../../contract/connector.ts";
import {
  type CheckpointStore,
  type Commit,
  type CommitResult,
  type OpenStateStore,
  type Restored,
  type StateStore,
} from "../../contract/state-store.ts";
import { callSilenceMsMax, untilUp } from "./until-up.ts";

/** Gets one line when the store is down, and one when it is up again. */
type OnNote = (text: string) => void;

/** Opens the state store that `ref` names, once it is up; its calls outlast an outage as the opening does. */
export async function openLastingState(
  ref: ConnectorRef,
  onNote: OnNote,
  signal: AbortSignal,
): Promise<LastingState> {
  const door = await openByRef<OpenStateStore>(ref);
  const open = async (): Promise<StateStore> => await door(ref.url, signal);
  return new LastingState(await untilUp({ url: ref.url, open, onNote }, signal), ref.url, onNote);
}

/**
 * The checkpoints of a store that may go away: a call that fails with STORE_UNAVAILABLE is named and
 * made again until the store is back, which by contract is safe.
 */
export class LastingState implements CheckpointStore {
  readonly #store: StateStore;
  readonly #url: string;
  readonly #onNote: OnNote;

  /** `url` is named as what is down. */
  constructor(store: StateStore, url: string, onNote: OnNote) {
    this.#store = store;
    this.#url = url;
    this.#onNote = onNote;
  }

  async acquire(task: string, signal: AbortSignal): Promise<Restored> {
    return await this.#lasting(async () => await this.#store.acquire(task, signal), signal);
  }

  async stageBase(
    task: string,
    piece: Parameters<CheckpointStore["stageBase"]>[1],
    signal: AbortSignal,
  ): Promise<"OK" | "FENCED"> {
    return await this.#lasting(
      async () => await this.#store.stageBase(task, piece, signal),
      signal,
    );
  }

  async commit(task: string, commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    return await this.#lasting(async () => await this.#store.commit(task, commit, signal), signal);
  }

  async drop(task: string, signal: AbortSignal): Promise<void> {
    await this.#lasting(async () => await this.#store.drop(task, signal), signal);
  }

  /** Safe to call twice. */
  async close(): Promise<void> {
    await this.#store.close();
  }

  async #lasting<T>(open: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const onNote = this.#onNote;
    return await untilUp({ url: this.#url, open, onNote, silenceMsMax: callSilenceMsMax }, signal);
  }
}
