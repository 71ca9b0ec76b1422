/**
 * Records that an output partition holds beyond what its checkpoint names, by key and time: they
 * are computed once more after a restart and must not be sent once more.
 *
 *   F1  Records of a key come again in rising time, so one that is passed over never comes.
 *   F2  Nothing is allocated per record once each key was asked for.
 */
export class FoundRecords {
  /** Offset in the partition where they begin. */
  readonly from: number;
  /** Those that may still come again. */
  count = 0;
  /** Times by key, its bytes as latin1 text so that different bytes never become equal. */
  readonly #byKey = new Map<string, Set<number>>();
  /** Times of a slot, newest first. */
  readonly #bySlot: (number[] | undefined)[] = [];

  constructor(from: number) {
    this.from = from;
  }

  /** Notes a record; a copy of one counts once. Only before the first `has`. */
  add(key: Uint8Array, ts: number): void {
    const name = nameOf(key);
    let times = this.#byKey.get(name);
    if (times === undefined) {
      times = new Set();
      this.#byKey.set(name, times);
    }
    if (!times.has(ts)) this.count += 1;
    times.add(ts);
  }

  /** True, once, if the record is there; `slot` stands for `key`. */
  has(slot: number, key: Uint8Array, ts: number): boolean {
    if (this.count === 0) return false;
    const times = (this.#bySlot[slot] ??= this.#timesOf(key));
    while (times.length > 0 && times.at(-1)! < ts) this.#drop(times);
    if (times.at(-1) !== ts) return false;
    this.#drop(times);
    return true;
  }

  #drop(times: number[]): void {
    times.pop();
    this.count -= 1;
  }

  #timesOf(key: Uint8Array): number[] {
    return [...(this.#byKey.get(nameOf(key)) ?? [])].toSorted((a, b) => b - a);
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
