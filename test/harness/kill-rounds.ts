/** Rounds of a test that kills something: 3, or 20 by `bun run soak`. */
export const killRounds: number = process.env["QMTL_SOAK"] === "1" ? 20 : 3;

/** Seed of this run's chance: printed by who uses it; QMTL_SEED repeats it. */
export const killSeed: number = Number(process.env["QMTL_SEED"] ?? Date.now() % 1_000_000);

/** Numbers in [0, 1) from a seed (an LCG: spread is all that is needed). */
export function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Resolves with true once `condition` holds, with false once `isOver` does before. */
export async function untilTrue(
  condition: () => boolean | Promise<boolean>,
  isOver: () => boolean,
): Promise<boolean> {
  for (;;) {
    if (await condition()) return true;
    if (isOver()) return false;
    await Bun.sleep(2);
  }
}
