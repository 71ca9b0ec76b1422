import { type Column, type Declaration, Interval, QmtlError } from "../../runtime/index.ts";

/**
 * How a recursive indicator forgets (DESIGN §5: an output is a function of the last `lookback`
 * records alone). An endless recursion never gives the same bits from another start, so the chain
 * is seeded anew on a grid that every start shares:
 *
 *   block   `blockMs` of time, counted from the epoch: about half as many bars as it takes to settle
 *   seed    the newest record that is the first of its block and has `settleBars` records after it
 *
 *   E1  The seed is chosen by the window's records alone, so any start gives the same bits.
 *   E2  `settleBars` records after it, the seed weighs less than 2^-53 of the value: the chain
 *       equals one that never ended as closely as doubles can say. Gaps don't change that, because
 *       records are counted, not time.
 *   E3  Each step goes on from the state; when a new seed has settled, or the state does not fit
 *       the window (first call, late record), the chain is run again from the seed: O(settleBars)
 *       once a block, O(1) a record; on a series with gaps, more often.
 *   E4  Without such a seed (more than one record per interval) the window's oldest record is it.
 */
export interface Restart {
  readonly settleBars: number;
  readonly blockMs: number;
}

/** Floats of state: the chain's value, then the seed's age in records, its time, its block's start. */
export const restartFloats = 4;

const ageAt = 1;
const seedTsAt = 2;
const blockStartAt = 3;

/** Records of a block beyond the plan: months differ in length, and a bar may lie off the grid. */
const marginBars = 8;
const lengthMax = 10_000;

/**
 * The restart of an indicator of `length` bars over `input`, and the lookback it needs. One bar
 * weighs (1 - alpha) of the one after it; `settleLengths` is above 36.8 / (-ln(1 - alpha) · length),
 * a whole number so that no logarithm is part of an identity.
 *
 * @throws QmtlError ARGUMENT_INVALID if `length` is not an integer from 1 to 10,000.
 */
export function restartOf(
  input: { readonly declaration: Declaration },
  indicator: { readonly name: string; readonly length: number; readonly settleLengths: number },
): Restart & { readonly lookback: number } {
  const { name, length, settleLengths } = indicator;
  if (!Number.isInteger(length) || length < 1 || length > lengthMax) {
    throw new QmtlError(
      "ARGUMENT_INVALID",
      `Cannot make "${name}": its length is ${length}, wanted an integer from 1 to ${lengthMax}`,
    );
  }
  const settleBars = settleLengths * length;
  const blockBars = Math.ceil(settleBars / 2);
  return {
    settleBars,
    blockMs: blockBars * barMsOf(input.declaration),
    lookback: settleBars + blockBars + marginBars,
  };
}

/** Length of a bar of `declaration`; for months the mean, which the margin allows for. */
export function barMsOf(declaration: Declaration): number {
  if (declaration.kind !== "stream" && declaration.interval === undefined) {
    return Math.min(...declaration.inputs.map(({ from }) => barMsOf(from)));
  }
  return Interval.of(declaration.interval).lengthMs;
}

/**
 * Index of the record from which the chain must be run again, -1 if it goes on with the newest
 * record alone. Keeps its part of `state`.
 */
export function runAgainFrom(times: Column, restart: Restart, state: Float64Array): number {
  const newest = times.length - 1;
  const settled = newest - restart.settleBars;
  const age = state[ageAt]! + 1;
  const seed = newest - age;
  if (
    seed >= 1 &&
    times.at(seed) === state[seedTsAt] &&
    times.at(seed - 1) < state[blockStartAt]! &&
    times.at(settled) < state[blockStartAt]! + restart.blockMs
  ) {
    state[ageAt] = age;
    return -1;
  }
  let index = settled;
  let blockStart = blockStartOf(times.at(index), restart);
  while (index > 1 && times.at(index - 1) >= blockStart) index -= 1;
  if (times.at(index - 1) >= blockStart) {
    index = 0;
    blockStart = Number.NaN;
  }
  state[ageAt] = newest - index;
  state[seedTsAt] = times.at(index);
  state[blockStartAt] = blockStart;
  return index;
}

function blockStartOf(ts: number, { blockMs }: Restart): number {
  return Math.floor(ts / blockMs) * blockMs;
}
