import { expect } from "bun:test";
import { type Commit, type Pieces, type Restored, type StateStore } from "../../runtime/index.ts";

/** Longest a test of the suite takes, ms. */
export const timeoutMs = 60_000;
/** Ends a call that hangs. */
export const signal = (): AbortSignal => AbortSignal.timeout(timeoutMs);
/** UTF-8. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (part: Uint8Array): string => new TextDecoder().decode(part);
/** A task's name that no other test has. */
export const newName = (): string => `deployment-${crypto.randomUUID()}/stage/0`;

/** Commit `commit` of the owner `epoch`, with bytes that name it. */
export function commitOf(epoch: number, commit: number, fields: Partial<Commit> = {}): Commit {
  const [meta, delta] = [bytes(`meta ${commit}`), bytes(`delta ${commit}`)];
  return { epoch, commit, meta, delta, swapsBase: false, ...fields };
}

/** All of a restore. */
export interface Whole extends Restored {
  readonly base: readonly Uint8Array[];
  readonly log: readonly Uint8Array[];
}

/** Takes `task`, and reads all that is given back. */
export async function acquired(store: StateStore, task: string, on = signal()): Promise<Whole> {
  const restored = await store.acquire(task, on);
  const base = await listOf(restored.base);
  return { ...restored, base, log: await listOf(restored.log) };
}

/** What a test compares of a restore: an empty delta says nothing and may be left out of the log. */
export function readable(restored: Whole): Record<string, unknown> {
  return {
    commit: restored.commit,
    meta: restored.meta && textOf(restored.meta),
    base: restored.base.map(textOf),
    log: restored.log.filter((part) => part.length > 0).map(textOf),
  };
}

/** Stages one piece of text. */
export async function stage(
  store: StateStore,
  task: string,
  [epoch, commit, index, text]: readonly [number, number, number, string],
): Promise<string> {
  return await store.stageBase(task, { epoch, commit, index, bytes: bytes(text) }, signal());
}

/** What a task restores that never committed. */
export const nothing = { commit: 0, meta: undefined, base: [], log: [] };

/** A random call: by the owner (age 0) or the one before it, `ahead` of the last commit. */
export type Step =
  | { readonly kind: "acquire" }
  | { readonly kind: "stage"; readonly age: number; readonly ahead: number; readonly index: number }
  | {
      readonly kind: "commit";
      readonly age: number;
      readonly ahead: number;
      readonly swapsBase: boolean;
    };

/** What S1 to S4 say of one task, in the plainest form. */
export class StateModel {
  state = { commit: 0, meta: undefined as string | undefined, base: [""], log: [""] };
  #staged = new Map<number, Map<number, string>>();
  #epoch: number;

  constructor(epoch: number) {
    this.#epoch = epoch;
    this.state = { ...this.state, base: [], log: [] };
  }

  async check(store: StateStore, task: string, step: Step): Promise<void> {
    if (step.kind === "acquire") {
      const restored = await acquired(store, task);
      expect(readable(restored)).toEqual(this.state);
      this.#epoch = restored.epoch;
      this.#staged.clear();
      return;
    }
    const epoch = this.#epoch - step.age;
    const number = this.state.commit + step.ahead;
    if (step.kind === "stage") {
      // A piece is a function of its commit and place, as it is for an owner that repeats it.
      const text = `piece ${number}.${step.index}`;
      const result = step.age > 0 ? "FENCED" : "OK";
      expect(await stage(store, task, [epoch, number, step.index, text])).toBe(result);
      if (step.age > 0 || step.ahead <= 0) return;
      const pieces = this.#staged.get(number) ?? new Map<number, string>();
      this.#staged.set(number, pieces.set(step.index, text));
      return;
    }
    const behind = step.ahead <= 0 ? "DUP" : "GAP";
    const result = step.age > 0 ? "FENCED" : step.ahead === 1 ? "OK" : behind;
    const commit = commitOf(epoch, number, { swapsBase: step.swapsBase });
    expect(await store.commit(task, commit, signal())).toBe(result);
    if (result === "OK") this.#apply(number, step.swapsBase);
  }

  #apply(number: number, swapsBase: boolean): void {
    const pieces = [...(this.#staged.get(number) ?? [])].toSorted((a, b) => a[0] - b[0]);
    const { base, log } = this.state;
    this.state = {
      commit: number,
      meta: `meta ${number}`,
      base: swapsBase ? pieces.map(([, text]) => text) : base,
      log: [...(swapsBase ? [] : log), `delta ${number}`],
    };
  }
}

async function listOf(pieces: Pieces): Promise<readonly Uint8Array[]> {
  const list: Uint8Array[] = [];
  for await (const piece of pieces) list.push(piece);
  return list;
}
