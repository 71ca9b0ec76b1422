/**
 * Exact arithmetic on the exchange's own decimals: integers of 10⁻⁸ in BigInt, no float anywhere
 * until the last division. The oracle for what nodes compute in float64.
 */

const places = 8;
const scale = 10n ** BigInt(places);
/** Digits kept behind the point of a quotient or root: float64 has 16. */
const digits = 40n;
const fine = 10n ** digits;

/** `114623.68000000` as an integer of 10⁻⁸. */
export function unitsOf(text: string): bigint {
  const [whole = "0", part = ""] = text.split(".");
  return BigInt(whole) * scale + BigInt(part.padEnd(places, "0"));
}

/** The float64 nearest to `units` · 10⁻⁸. */
export function numberOf(units: bigint): number {
  return Number(decimalText(units, places));
}

/** Mean of integers of 10⁻⁸, as a float64. */
export function exactMean(values: readonly bigint[]): number {
  const sum = values.reduce((total, value) => total + value, 0n);
  return Number(decimalText((sum * fine) / BigInt(values.length), places + Number(digits)));
}

/** How many population standard deviations the last value is from the mean; 0 where it is 0. */
export function exactZscore(values: readonly bigint[]): number {
  const n = BigInt(values.length);
  const sum = values.reduce((total, value) => total + value, 0n);
  const squares = values.reduce((total, value) => total + value * value, 0n);
  // n² · variance and n · (last − mean) are integers.
  const variance = n * squares - sum * sum;
  if (variance === 0n) return 0;
  const distance = n * (values.at(-1) ?? 0n) - sum;
  const root = squareRoot(variance * fine * fine);
  return Number(decimalText((distance * fine * fine) / root, Number(digits)));
}

/** The largest integer whose square is at most `value`. */
function squareRoot(value: bigint): bigint {
  let root = 1n << BigInt((value.toString(2).length >> 1) + 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function decimalText(units: bigint, decimals: number): string {
  const sign = units < 0n ? "-" : "";
  const text = String(units < 0n ? -units : units).padStart(decimals + 1, "0");
  return `${sign}${text.slice(0, -decimals)}.${text.slice(-decimals)}`;
}
