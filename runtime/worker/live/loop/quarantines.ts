import { type Quarantine } from "../live-order.ts";
import { type LiveTask } from "../live-task.ts";

/** A task whose nodes may be silent. */
export interface Quarantining {
  readonly partition: number;
  readonly task: Pick<LiveTask["task"], "quarantine">;
}

/**
 * The nodes that are silent in a partition of this thread, until their time is over.
 *
 *   V5  A quarantine ends at a committed position: whoever restores from it has no record left
 *       that came before the release, so no output of such a record follows a later one.
 */
export class Quarantines {
  #places: readonly Quarantine[];

  constructor(places: readonly Quarantine[]) {
    this.#places = places;
  }

  /** How many there are. */
  get count(): number {
    return this.#places.length;
  }

  /** Indices of the nodes that are silent in a partition. */
  in(partition: number): ReadonlySet<number> {
    const own = this.#places.filter((place) => place.partition === partition);
    return new Set(own.map(({ node }) => node));
  }

  /** V5: brings back in `tasks` the nodes whose time is over, once `sends` have committed all. */
  async release(
    tasks: readonly Quarantining[],
    sends: { finish(): Promise<void> },
    nowMs = Date.now(),
  ): Promise<void> {
    const left = this.#places.filter(({ untilMs }) => untilMs > nowMs);
    if (left.length === this.#places.length) return;
    await sends.finish();
    this.#places = left;
    for (const { task, partition } of tasks) task.quarantine(this.in(partition));
  }
}
