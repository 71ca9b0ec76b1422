import { type Crash } from "../../../coordinator/live-threads.ts";
import { type Clock } from "../../../core/clock.ts";
import { type Log } from "../../../core/log.ts";
import { type BoardRow, boardSum } from "../../../worker/live/board.ts";
import { type Quarantine } from "../../../worker/live/live-order.ts";
import { type PartitionMeter, type ThreadMeter } from "../../../worker/live/meters.ts";
import { type WaitingJoin } from "../../../worker/live/repartition/pending-hold.ts";

/** A partition of an input, as it is watched. */
export interface WatchedPartition {
  readonly stream: string;
  readonly topic: string;
  readonly partition: number;
  readonly thread: number;
  readonly meter: PartitionMeter;
}

/** A crash with its node's name. */
export type NamedCrash = Crash & { readonly name: string };

/** What health is judged by. */
export interface HealthOptions {
  /** By thread. */
  readonly rows: readonly BoardRow[];
  readonly meters: readonly ThreadMeter[];
  readonly partitions: readonly WatchedPartition[];
  readonly nameOf: (node: number) => string;
  /** Names of a join, an input of it, and the key of a slot. */
  readonly joinOf: (at: Omit<WaitingJoin, "held">) => {
    readonly join: string;
    readonly input: string;
    readonly key: string;
  };
  /** A node that runs for so long without a beat is stalled, ms. */
  readonly stallMsMax: number;
  /** Nothing heard from a dependency, no progress with a lag, for so long: failing, ms. */
  readonly silentMsMax: number;
  /** Time between two checkpoints, ms; undefined if none are taken. */
  readonly checkpointMs: number | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** A thread, as `/healthz` shows it. */
export interface ThreadHealth {
  readonly thread: number;
  /** Node that runs; null if none. */
  readonly node: string | null;
  /** Time since the thread last took a record or turned its loop, ms. */
  readonly beatsAgeMs: number;
}

/** A task, as `/healthz` shows it: one partition of an input. */
export interface TaskHealth {
  readonly stream: string;
  readonly topic: string;
  readonly partition: number;
  readonly thread: number;
  /** Records that wait, as of the last answer with records. */
  readonly lag: number;
}

/** A node that emits nothing in a partition for a time, with its name. */
export type Quarantined = Quarantine & { readonly name: string };

/** The same as `/healthz` shows it. */
export interface QuarantinedNode {
  readonly node: string;
  readonly partition: number;
  /** When it is released, ISO time. */
  readonly until: string;
}

/** What a dependency is to the run. */
export interface DependencyHealth {
  readonly status: "ok" | "stalled";
  /** Longest time that a thread or partition has waited for it, ms. */
  readonly silentMs: number;
}

/** The answer of `/healthz`. */
export interface HealthReport {
  readonly status: "ok" | "failing";
  /** Why it fails, one sentence each; empty if it does not. */
  readonly causes: readonly string[];
  readonly threads: readonly ThreadHealth[];
  readonly tasks: readonly TaskHealth[];
  readonly quarantined: readonly QuarantinedNode[];
  readonly dependencies: Readonly<Record<string, DependencyHealth>>;
}

/** Time between two looks at the board, ms. */
const lookMs = 250;

/**
 * Whether a live run gets on, judged from the board alone, so that a thread that hangs can't keep
 * the answer. A look every `lookMs` knows how old each heartbeat is and logs what has changed.
 */
export class LiveHealth {
  readonly #options: HealthOptions;
  readonly #startedMs: number;
  /** Beats at the last change, and when that was. */
  readonly #beats: { count: number; sinceMs: number }[];
  /** Threads that died and have not beaten since. */
  readonly #dead = new Map<number, string>();
  #quarantined: readonly Quarantined[] = [];
  #released = 0;
  readonly #stalled = new Set<string>();
  readonly #timer: ReturnType<typeof setInterval>;
  #resets = 0;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#startedMs = options.clock.now();
    this.#beats = options.rows.map(({ beats }) => ({ count: beats, sinceMs: this.#startedMs }));
    this.#timer = setInterval(() => this.look(), lookMs);
    this.#timer.unref();
  }

  /** Compares the board with the last look. */
  look(): void {
    const { rows, clock, log } = this.#options;
    const nowMs = clock.now();
    for (const [thread, seen] of this.#beats.entries()) {
      const beats = rows[thread]?.beats ?? 0;
      if (beats === seen.count) continue;
      seen.count = beats;
      seen.sinceMs = nowMs;
      this.#dead.delete(thread);
    }
    const resets = boardSum(rows, "offsetResets");
    if (resets > this.#resets) log.warn("position reset", { partitions: resets - this.#resets });
    this.#resets = resets;
    this.#release(nowMs);
    for (const [dependency, { status, silentMs }] of Object.entries(this.#dependencies(nowMs))) {
      const isStalled = status === "stalled";
      if (isStalled === this.#stalled.has(dependency)) continue;
      if (isStalled) {
        this.#stalled.add(dependency);
        log.warn("dependency stalled", { dependency, silentMs });
      } else {
        this.#stalled.delete(dependency);
        log.info("dependency is back", { dependency });
      }
    }
  }

  /** A thread has died. */
  crashed({ thread, partition, node, name, reason, untilMs }: NamedCrash): void {
    this.look();
    this.#dead.set(thread, reason);
    if (untilMs === undefined) return;
    this.#quarantined = [...this.#quarantined, { node, name, partition, untilMs }];
  }

  /** Nodes that are quarantined now. */
  get quarantined(): readonly Quarantined[] {
    return this.#quarantined;
  }

  /** Quarantines that are over. */
  get released(): number {
    return this.#released;
  }

  /** Time since thread `thread` last got on, ms. */
  beatsAgeMs(thread: number): number {
    return this.#options.clock.now() - (this.#beats[thread]?.sinceMs ?? this.#startedMs);
  }

  report(): HealthReport {
    this.look();
    const nowMs = this.#options.clock.now();
    const threads = this.#options.rows.map((row, thread) => this.#threadOf(row, thread));
    const dependencies = this.#dependencies(nowMs);
    const causes = [
      ...threads.flatMap((thread) => this.#threadCauses(thread)),
      ...Object.entries(dependencies).flatMap(([name, { status, silentMs }]) =>
        status === "ok" ? [] : [`the ${name} has not answered for ${seconds(silentMs)}`],
      ),
      ...this.#options.partitions.flatMap((partition) => this.#partitionCauses(partition, nowMs)),
      ...this.#options.partitions.flatMap((partition) => this.#waitingCauses(partition)),
    ];
    return {
      status: causes.length === 0 ? "ok" : "failing",
      causes,
      threads,
      tasks: this.#options.partitions.map(({ meter, ...task }) => ({
        ...task,
        lag: meter.get("lag"),
      })),
      quarantined: this.#quarantined.map(({ name, partition, untilMs }) => ({
        node: name,
        partition,
        until: new Date(untilMs).toISOString(),
      })),
      dependencies,
    };
  }

  /** Why the run is not ready yet: empty once every thread has fetched. */
  unready(): readonly string[] {
    this.look();
    return this.#options.meters.flatMap((meter, thread) => {
      if (this.#dead.has(thread)) return [`thread ${thread} is dead`];
      return meter.get("fetchedMs") === 0 ? [`thread ${thread} has not fetched yet`] : [];
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A thread ends a quarantine by itself, by the same clock. */
  #release(nowMs: number): void {
    for (const place of this.#quarantined) {
      if (place.untilMs > nowMs) continue;
      const { name, partition } = place;
      this.#options.log.info("node released", { node: name, partition });
      this.#released += 1;
      this.#quarantined = this.#quarantined.filter((other) => other !== place);
    }
  }

  #threadOf(row: BoardRow, thread: number): ThreadHealth {
    const node = Atomics.load(row.heartbeat, 0);
    return {
      thread,
      node: node < 0 ? null : this.#options.nameOf(node),
      beatsAgeMs: this.beatsAgeMs(thread),
    };
  }

  #threadCauses({ thread, node, beatsAgeMs }: ThreadHealth): readonly string[] {
    const reason = this.#dead.get(thread);
    if (reason !== undefined) return [`thread ${thread} is dead: ${reason}`];
    const isStalled = node !== null && beatsAgeMs > this.#options.stallMsMax;
    return isStalled ? [`thread ${thread} is stalled in "${node}" for ${seconds(beatsAgeMs)}`] : [];
  }

  /** A partition that others of its thread overtake: the thread fetches, but not from it. */
  #partitionCauses(own: WatchedPartition, nowMs: number): readonly string[] {
    const { topic, partition, meter } = own;
    const lag = meter.get("lag");
    const sinceMs = nowMs - Math.max(meter.get("progressMs"), this.#startedMs);
    if (lag <= 0 || sinceMs <= this.#options.silentMsMax) return [];
    return [
      `partition ${partition} of "${topic}" has a lag of ${lag} and no progress for ${seconds(sinceMs)}`,
    ];
  }

  /** A join that holds as much as it may and waits for an input that does not come. */
  #waitingCauses({ meter, partition }: WatchedPartition): readonly string[] {
    const held = meter.get("held");
    if (held === 0) return [];
    const { join, input, key } = this.#options.joinOf({
      join: meter.get("heldJoin"),
      input: meter.get("heldInput"),
      slot: meter.get("heldSlot"),
    });
    return [
      `"${join}" waits for its input "${input}" of ${key} in partition ${partition}: ${held} inputs of keys are held back`,
    ];
  }

  #dependencies(nowMs: number): Readonly<Record<string, DependencyHealth>> {
    const { meters, partitions, checkpointMs } = this.#options;
    const transportMs = meters.map((meter, thread) => {
      const isWaiting = meter.phase !== "compute" && !this.#dead.has(thread);
      return isWaiting ? nowMs - Math.max(meter.get("fetchedMs"), this.#startedMs) : 0;
    });
    const transport = this.#dependency(Math.max(0, ...transportMs));
    if (checkpointMs === undefined) return { transport };
    // What a loop that waits for the transport does not commit is not the state store's fault.
    const stateMs = partitions.map(({ meter, thread }) => {
      const turnedMs = meters[thread]?.get("fetchedMs") ?? 0;
      const sinceMs = Math.max(meter.get("checkpointedMs"), this.#startedMs) + checkpointMs;
      return this.#dead.has(thread) ? 0 : turnedMs - sinceMs;
    });
    return { transport, state: this.#dependency(Math.max(0, ...stateMs)) };
  }

  #dependency(silentMs: number): DependencyHealth {
    return { status: silentMs > this.#options.silentMsMax ? "stalled" : "ok", silentMs };
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
