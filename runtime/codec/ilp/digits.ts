const zero = 48;
const billion = 1_000_000_000;

/** Writes the integer `value`, |value| <= 2^53, in decimal at `start`; returns its end. */
export function writeInteger(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  if (rest < 0) {
    bytes[at] = 45;
    at += 1;
    rest = -rest;
  }
  if (rest < billion) return writeSmall(bytes, at, rest | 0);
  const high = Math.floor(rest / billion);
  at = writeSmall(bytes, at, high | 0);
  let low = (rest - high * billion) | 0;
  for (let digit = at + 8; digit >= at; digit -= 1) {
    const tenth = (low / 10) | 0;
    bytes[digit] = zero + low - tenth * 10;
    low = tenth;
  }
  return at + 9;
}

/** An integer from 0 to 10^9 − 1. */
function writeSmall(bytes: Uint8Array, start: number, value: number): number {
  let end = start + 1;
  for (let bound = 10; value >= bound; bound *= 10) end += 1;
  let rest = value;
  for (let digit = end - 1; digit >= start; digit -= 1) {
    const tenth = (rest / 10) | 0;
    bytes[digit] = zero + rest - tenth * 10;
    rest = tenth;
  }
  return end;
}
