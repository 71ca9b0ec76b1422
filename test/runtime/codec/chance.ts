/** Cases of a fuzz: 10,000 in a normal run, 1,000,000 where QMTL_SOAK=1. */
export const fuzzCases = process.env["QMTL_SOAK"] === "1" ? 1_000_000 : 10_000;

/** Seed of this run, printed so that a failure can be repeated with QMTL_SEED. */
export const fuzzSeed = Number(process.env["QMTL_SEED"] ?? Date.now() % 2 ** 31);

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** An integer from 0 to `bound` − 1. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  /** One of `list`. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** `length` bytes. */
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** A damaged copy of `good`: bits flipped, bytes set, a part cut out, doubled or replaced. */
  damage(good: Uint8Array, from = 0): Uint8Array {
    let bytes = Uint8Array.from(good);
    for (let times = 1 + this.below(3); times > 0; times -= 1) {
      const at = from + this.below(Math.max(1, bytes.length - from));
      switch (this.below(5)) {
        case 0:
          bytes[at]! ^= 1 << this.below(8);
          break;
        case 1:
          bytes[at] = this.pick([0, 1, 0x7f, 0x80, 0xff, 0xc0, 0xdf, 0xcb]);
          break;
        case 2:
          bytes = bytes.slice(0, at);
          break;
        case 3:
          bytes = Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + 1 + this.below(9))]);
          break;
        default:
          bytes = Uint8Array.from([...bytes.slice(0, at), ...this.bytes(4), ...bytes.slice(at)]);
      }
    }
    return bytes;
  }
}

/** Bytes that stand around what is decoded: no result may depend on them. */
export const guardBytes = 64;

/** `bytes` in the middle of guards filled with `filler`. */
export function guarded(bytes: Uint8Array, filler: number): Uint8Array {
  const all = new Uint8Array(bytes.length + 2 * guardBytes).fill(filler);
  all.set(bytes, guardBytes);
  return all;
}
