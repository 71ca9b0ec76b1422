import { type CheckpointStore, type Pieces } from "../../contract/state-store.ts";
import { systemClock } from "../../core/clock.ts";
import { errorText, hasCode, QmtlError } from "../../core/errors.ts";
import { ByteReader, ByteWriter, corrupt } from "./bytes.ts";
import { type CheckpointPart } from "./parts.ts";

/** Version of meta's form. */
const format = 2;
/** Bytes of one piece of a base, roughly: what a restore reads, checks and takes in at a time. */
const pieceBytesMax = 1 << 20;
/**
 * A log below this is never rewritten into a base, however small the base: what a store holds of a
 * task beside its state, times the tasks of a run without a state store in memory.
 */
const logBytesMin = 256 << 10;
const retryMsFirst = 50;
const retryMsMax = 2_000;

/** What a checkpoint says beside the state. */
export interface Position {
  /** Next offset by input topic, or whatever a replay counts by. */
  readonly offsets: Readonly<Record<string, number>>;
  /** Acknowledged end by output topic. */
  readonly ends: Readonly<Record<string, number>>;
  /** Further plain data that moves with the state. */
  readonly extra?: unknown;
}

interface Meta extends Position {
  readonly format: number;
  readonly epoch: number;
  readonly plan: string;
}

/** A state that was copied at a batch boundary and waits to be committed. */
export interface Snapshot {
  readonly delta: Uint8Array<ArrayBuffer>;
  /** A base in place of the log: deltas that begin with nothing. */
  readonly base: readonly Uint8Array<ArrayBuffer>[];
}

/**
 * The checkpoints of one task (DESIGN §7: state and position move together).
 *
 *   Q1  `snapshot` copies what changed; the task goes on while the copy is committed.
 *   Q2  Commits are made one after the other, in the order of their snapshots; the same commit is
 *       repeated until its outcome is known.
 *   Q3  When the log outgrows the base, the next snapshot is a base, and the log begins anew.
 */
export class TaskCheckpoint {
  readonly #name: string;
  readonly #store: CheckpointStore;
  readonly #parts: readonly CheckpointPart[];
  readonly #plan: string;
  readonly #writer = new ByteWriter();
  #epoch = 0;
  #commit = 0;
  #baseBytes = 0;
  #logBytes = 0;
  /** True if the last delta left nothing for a next one. */
  #isWhole = true;

  /** `name` is `deployment/stage/partition`, `plan` the hash of what the state belongs to. */
  constructor(
    name: string,
    store: CheckpointStore,
    parts: readonly CheckpointPart[],
    plan: string,
  ) {
    this.#name = name;
    this.#store = store;
    this.#parts = parts;
    this.#plan = plan;
  }

  /**
   * Takes ownership and reads the state back; undefined if there is none yet.
   *
   * @throws QmtlError CHECKPOINT_PLAN_CHANGED, CHECKPOINT_CORRUPT, STORE_* .
   */
  async restore(signal: AbortSignal): Promise<Position | undefined> {
    return await repeat(async () => await this.#restore(signal), signal);
  }

  /** Copies what changed since the last snapshot. O(changed rows). */
  snapshot(): Snapshot {
    const isBase = this.#logBytes > Math.max(this.#baseBytes, logBytesMin);
    if (!isBase) {
      const delta = this.#write(Number.POSITIVE_INFINITY);
      this.#logBytes += delta.length;
      return { delta, base: [] };
    }
    for (const part of this.#parts) part.beginBase();
    const base: Uint8Array<ArrayBuffer>[] = [];
    do base.push(this.#write(pieceBytesMax));
    while (!this.#isWhole);
    this.#baseBytes = sizeOf(base);
    this.#logBytes = 0;
    return { delta: new Uint8Array(0), base };
  }

  /**
   * Commits a snapshot with the position it belongs to, and takes its bytes back. Calls never
   * overlap.
   *
   * @throws QmtlError CHECKPOINT_FENCED if another owner took over, CHECKPOINT_GAP.
   */
  async commit(snapshot: Snapshot, position: Position, signal: AbortSignal): Promise<void> {
    const commit = this.#commit + 1;
    const epoch = this.#epoch;
    const meta: Meta = { format, epoch, plan: this.#plan, ...position };
    for (const [index, bytes] of snapshot.base.entries()) {
      const piece = { epoch, commit, index, bytes };
      const staged = await repeat(
        async () => await this.#store.stageBase(this.#name, piece, signal),
        signal,
      );
      if (staged === "FENCED") throw this.#fenced();
    }
    const whole = {
      epoch,
      commit,
      meta: new TextEncoder().encode(JSON.stringify(meta)),
      delta: snapshot.delta,
      swapsBase: snapshot.base.length > 0,
    };
    const result = await repeat(
      async () => await this.#store.commit(this.#name, whole, signal),
      signal,
    );
    if (result === "FENCED") throw this.#fenced();
    if (result === "GAP") {
      throw new QmtlError(
        "CHECKPOINT_GAP",
        `Cannot commit ${commit} of "${this.#name}": the store has lost commits before it, wanted ${commit - 1}`,
      );
    }
    // OK, or DUP: an earlier try of this very commit went through.
    this.#commit = commit;
    for (const piece of [snapshot.delta, ...snapshot.base]) {
      if (piece.length > 0) this.#writer.giveBack(piece);
    }
  }

  /** Forgets the task: nothing of it is restored any more. */
  async drop(signal: AbortSignal): Promise<void> {
    await repeat(async () => await this.#store.drop(this.#name, signal), signal);
  }

  /** A delta of all parts, of about `bytesMax` bytes. */
  #write(bytesMax: number): Uint8Array<ArrayBuffer> {
    this.#writer.reset(bytesMax);
    this.#isWhole = true;
    for (const part of this.#parts) {
      if (!part.writeDelta(this.#writer)) this.#isWhole = false;
    }
    return this.#writer.finish();
  }

  async #restore(signal: AbortSignal): Promise<Position | undefined> {
    const restored = await this.#store.acquire(this.#name, signal);
    this.#epoch = restored.epoch;
    this.#commit = restored.commit;
    if (restored.meta === undefined) return undefined;
    const meta = this.#metaOf(restored.meta);
    // If the store is lost in between, all is read again from the start, which parts allow.
    this.#baseBytes = await this.#read(restored.base);
    this.#logBytes = await this.#read(restored.log);
    return meta;
  }

  #metaOf(bytes: Uint8Array): Meta {
    const meta = parsed(bytes);
    if (meta.format === format && meta.plan === this.#plan) return meta;
    throw new QmtlError(
      "CHECKPOINT_PLAN_CHANGED",
      `Cannot go on with "${this.#name}": its state is of plan ${meta.plan} (form ${meta.format}), wanted ${this.#plan} (form ${format}); use another deployment name or drop the old one`,
      { found: meta.plan, wanted: this.#plan },
    );
  }

  /** Takes in `pieces` as they come; how many bytes that were. */
  async #read(pieces: Pieces): Promise<number> {
    let bytes = 0;
    for await (const piece of pieces) {
      bytes += piece.length;
      if (piece.length === 0) continue;
      const reader = new ByteReader(piece);
      for (const part of this.#parts) part.read(reader);
      if (!reader.isAtEnd) throw corrupt("more state than this plan has");
    }
    return bytes;
  }

  #fenced(): QmtlError {
    return new QmtlError(
      "CHECKPOINT_FENCED",
      `Cannot commit "${this.#name}": another owner took over (epoch above ${this.#epoch}), this one stops`,
      { task: this.#name, epoch: this.#epoch },
    );
  }
}

/** @throws QmtlError CHECKPOINT_CORRUPT if the bytes are no JSON object. */
function parsed(bytes: Uint8Array): Meta {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw corrupt(`a position that can't be read (${errorText(error)})`);
  }
  if (typeof value !== "object" || value === null) throw corrupt("a position of an unknown form");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `commit`; form and plan are checked
  return value as Meta;
}

/** Repeats what is safe to repeat while the store can't be reached, with growing pauses. */
async function repeat<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  let pauseMs = retryMsFirst;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, "STORE_UNAVAILABLE")) throw error;
      await systemClock.sleep(pauseMs, signal);
      pauseMs = Math.min(retryMsMax, pauseMs * 2);
    }
  }
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}
