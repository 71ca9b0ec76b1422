import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { type TimeRange } from "../../../runtime/contract/history-store.ts";
import { Interval } from "../../../runtime/core/interval.ts";
import {
  barsIn,
  coverageWith,
  coverageWithout,
  intersectRanges,
  mergeRanges,
  missingIn,
  subtractRanges,
} from "../../../runtime/engine/coverage.ts";

const range = (start: number, end: number): TimeRange => ({ start, end });

// Goal: the algebra for every list. Method: a set of the whole instants 0 to 39 is the model.
const anyRange = fc
  .tuple(fc.nat(40), fc.nat(40))
  .map(([a, b]) => range(Math.min(a, b), Math.max(a, b)));
const anyRanges = fc.array(anyRange, { maxLength: 8 });

function instantsOf(ranges: readonly TimeRange[]): Set<number> {
  const instants = new Set<number>();
  for (const { start, end } of ranges) for (let t = start; t < end; t += 1) instants.add(t);
  return instants;
}

/** The one list of ranges, by R1, that holds exactly `instants`. */
function rangesOf(instants: ReadonlySet<number>): TimeRange[] {
  const ranges: TimeRange[] = [];
  for (let t = 0; t <= 40; t += 1) {
    if (!instants.has(t)) continue;
    const start = t;
    while (instants.has(t)) t += 1;
    ranges.push(range(start, t));
  }
  return ranges;
}

test("mergeRanges() holds the instants of any of its ranges, merged (R1)", () => {
  fc.assert(
    fc.property(anyRanges, (ranges) => {
      expect(mergeRanges(ranges)).toEqual(rangesOf(instantsOf(ranges)));
    }),
  );
});

test("subtractRanges() and intersectRanges() do what sets do (R1, R2)", () => {
  fc.assert(
    fc.property(anyRanges, anyRanges, (a, b) => {
      const before = structuredClone([a, b]);
      expect(subtractRanges(a, b)).toEqual(rangesOf(instantsOf(a).difference(instantsOf(b))));
      expect(intersectRanges(a, b)).toEqual(rangesOf(instantsOf(a).intersection(instantsOf(b))));
      expect([a, b]).toEqual(before);
    }),
  );
});

test("missingIn() is the range without what is had and what is confirmed empty", () => {
  fc.assert(
    fc.property(anyRanges, anyRanges, anyRange, (have, empty, asked) => {
      const known = instantsOf(have).union(instantsOf(empty));
      const model = rangesOf(instantsOf([asked]).difference(known));
      expect(missingIn({ have, empty }, asked)).toEqual(model);
    }),
  );
});

test("coverageWith() gives the same coverage in whichever order pages arrive", () => {
  const anyPage = fc.record({ have: anyRanges, empty: anyRanges });
  fc.assert(
    fc.property(anyPage, anyPage, (a, b) => {
      const none = { have: [], empty: [] };
      const ab = coverageWith(coverageWith(none, a), b);
      expect(ab).toEqual(coverageWith(coverageWith(none, b), a));
      expect(intersectRanges(ab.have, ab.empty)).toEqual([]);
    }),
  );
});

test("coverageWith() keeps what is there when a later page calls it empty", () => {
  const had = { have: [range(0, 10)], empty: [range(10, 20)] };
  const next = coverageWith(had, { have: [range(15, 18)], empty: [range(5, 12)] });
  expect(next).toEqual({
    have: [range(0, 10), range(15, 18)],
    empty: [range(10, 15), range(18, 20)],
  });
});

test("coverageWithout() cuts a hole into both lists", () => {
  const known = { have: [range(0, 10)], empty: [range(10, 20)] };
  expect(coverageWithout(known, range(8, 12))).toEqual({
    have: [range(0, 8)],
    empty: [range(12, 20)],
  });
});

test("barsIn() counts openings on the grid, months and off-grid edges included", () => {
  const minute = Interval.of("1m");
  expect(barsIn([range(0, 300_000)], minute)).toBe(5);
  expect(barsIn([range(1, 60_000)], minute)).toBe(0);
  expect(barsIn([range(1, 60_001)], minute)).toBe(1);
  expect(barsIn([range(0, 120_000), range(60_000, 180_000)], minute)).toBe(3);
  const quarter = range(Date.UTC(2024, 0, 1), Date.UTC(2024, 3, 1));
  expect(barsIn([quarter], Interval.of("1M"))).toBe(3);
});
