import { type Coverage, type HistoryPage, type TimeRange } from "../contract/history-store.ts";
import { type Interval } from "../core/interval.ts";

/**
 * Algebra on lists of half-open ranges `[start, end)`, ms since epoch. Pure; a list may come in any
 * order, overlapping and with empty ranges in it.
 *
 *   R1  Every result is sorted, disjoint, merged (no two ranges touch) and without empty ranges.
 *   R2  Arguments are never changed.
 */

/** All instants that any of `ranges` holds. O(n log n). */
export function mergeRanges(ranges: readonly TimeRange[]): readonly TimeRange[] {
  const sorted = ranges
    .filter((range) => range.start < range.end)
    .toSorted((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

/** The instants of `ranges` that none of `without` holds. O(n log n). */
export function subtractRanges(
  ranges: readonly TimeRange[],
  without: readonly TimeRange[],
): readonly TimeRange[] {
  const holes = mergeRanges(without);
  const left: TimeRange[] = [];
  let first = 0;
  for (const range of mergeRanges(ranges)) {
    let start = range.start;
    while (first < holes.length && (holes[first]?.end ?? 0) <= start) first += 1;
    for (let i = first; i < holes.length; i += 1) {
      const hole = holes[i];
      if (hole === undefined || hole.start >= range.end) break;
      if (start < hole.start) left.push({ start, end: hole.start });
      start = hole.end;
    }
    if (start < range.end) left.push({ start, end: range.end });
  }
  return left;
}

/** The instants that both `a` and `b` hold. O(n log n). */
export function intersectRanges(
  a: readonly TimeRange[],
  b: readonly TimeRange[],
): readonly TimeRange[] {
  return subtractRanges(a, subtractRanges(a, b));
}

/** What of `range` is neither there nor confirmed empty. */
export function missingIn(coverage: Coverage, range: TimeRange): readonly TimeRange[] {
  return subtractRanges([range], [...coverage.have, ...coverage.empty]);
}

/** Bars of `interval` whose grid opening lies in `ranges`. */
export function barsIn(ranges: readonly TimeRange[], interval: Interval): number {
  let bars = 0;
  for (const { start, end } of mergeRanges(ranges)) {
    bars += interval.indexOf(interval.ceil(end)) - interval.indexOf(interval.ceil(start));
  }
  return bars;
}

/**
 * Coverage after `page` is stored. What is there wins over what is confirmed empty, whichever came
 * first, so that the order in which several writers' pages arrive makes no difference; to find a
 * range empty that was had before, forget it first.
 */
export function coverageWith(
  coverage: Coverage,
  page: Pick<HistoryPage, "have" | "empty">,
): Coverage {
  const have = mergeRanges([...coverage.have, ...page.have]);
  return { have, empty: subtractRanges([...coverage.empty, ...page.empty], have) };
}

/** Coverage after everything inside `range` is forgotten. */
export function coverageWithout(coverage: Coverage, range: TimeRange): Coverage {
  return {
    have: subtractRanges(coverage.have, [range]),
    empty: subtractRanges(coverage.empty, [range]),
  };
}
