import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { hasCode } from "../../../runtime/core/errors.ts";
import { Interval, intervalNames, periodBars } from "../../../runtime/core/interval.ts";

const at = (text: string): number => Date.parse(text);

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (hasCode(error, "INTERVAL_INVALID", "PERIOD_INVALID"))
      return `${error.code} ${error.message}`;
    throw error;
  }
  return "nothing was thrown";
}

test("there are the sixteen intervals of the exchange, finest first", () => {
  expect(intervalNames.join(" ")).toBe("1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M");
});

test("of() takes names, seconds and seconds as text", () => {
  for (const name of intervalNames) expect(Interval.of(name).name).toBe(name);
  expect(Interval.of("60s").name).toBe("1m");
  expect(Interval.of(60).name).toBe("1m");
  expect(Interval.of(1).name).toBe("1s");
  expect(Interval.of(604_800).name).toBe("1w");
  expect(Interval.of("1m")).not.toBe(Interval.of("1M"));
});

test("of() refuses anything else, and none, saying what was found", () => {
  const wrong = [
    7,
    0,
    -60,
    60.5,
    Number.NaN,
    "7m",
    "1H",
    "60",
    "060s",
    "60 s",
    "",
    null,
    {},
    2_629_746,
  ];
  for (const value of wrong)
    expect(codeOf(() => Interval.of(value))).toStartWith("INTERVAL_INVALID");
  expect(codeOf(() => Interval.of("7m"))).toContain('found "7m"');
  expect(codeOf(() => Interval.of(undefined))).toContain("none was given");
});

// [interval, an instant, opening and close of the bar that holds it]
const bars: readonly (readonly [string, string, string, string])[] = [
  ["1s", "2024-03-10T12:34:56.789Z", "2024-03-10T12:34:56Z", "2024-03-10T12:34:57Z"],
  ["1m", "2024-03-10T12:34:56Z", "2024-03-10T12:34:00Z", "2024-03-10T12:35:00Z"],
  ["5m", "2024-03-10T12:34:56Z", "2024-03-10T12:30:00Z", "2024-03-10T12:35:00Z"],
  ["4h", "2024-03-10T12:34:56Z", "2024-03-10T12:00:00Z", "2024-03-10T16:00:00Z"],
  ["1d", "2024-02-29T23:59:59.999Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"],
  // 1970-01-01 opened a bar of 3 days; 19,791 days later, a multiple of 3, is 2024-03-09.
  ["3d", "2024-03-10T00:00:00Z", "2024-03-09T00:00:00Z", "2024-03-12T00:00:00Z"],
  ["3d", "1970-01-03T23:59:59Z", "1970-01-01T00:00:00Z", "1970-01-04T00:00:00Z"],
  // 2024-03-10 was a Sunday.
  ["1w", "2024-03-10T23:59:59Z", "2024-03-04T00:00:00Z", "2024-03-11T00:00:00Z"],
  ["1w", "2024-03-11T00:00:00Z", "2024-03-11T00:00:00Z", "2024-03-18T00:00:00Z"],
  ["1w", "1970-01-01T00:00:00Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z"],
  ["1M", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"],
  ["1M", "2023-12-31T23:59:59Z", "2023-12-01T00:00:00Z", "2024-01-01T00:00:00Z"],
  ["1M", "1969-12-31T23:59:59Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z"],
];

for (const [name, instant, open, close] of bars) {
  test(`the ${name} bar that holds ${instant} opens ${open} and closes ${close}`, () => {
    const interval = Interval.of(name);
    expect(interval.floor(at(instant))).toBe(at(open));
    expect(interval.closeOf(at(instant))).toBe(at(close));
    expect(interval.openOf(interval.indexOf(at(instant)))).toBe(at(open));
    expect(interval.ceil(at(open))).toBe(at(open));
    expect(interval.ceil(at(open) + 1)).toBe(at(close));
  });
}

// Goal: bars tile all of time. Method: any instant, before and after the epoch, in any interval.
test("each instant lies in one bar, and bar n + 1 opens where bar n closes", () => {
  const instants = fc.integer({ min: -2e12, max: 4e12 });
  const property = fc.property(fc.constantFrom(...intervalNames), instants, (name, timeMs) => {
    const interval = Interval.of(name);
    const index = interval.indexOf(timeMs);
    expect(interval.openOf(index)).toBeLessThanOrEqual(timeMs);
    expect(interval.openOf(index + 1)).toBeGreaterThan(timeMs);
    expect(interval.indexOf(interval.openOf(index))).toBe(index);
    expect(interval.closeOf(timeMs)).toBe(interval.openOf(index + 1));
  });
  fc.assert(property);
});

test("weeks open on Mondays, months on day 1", () => {
  const week = Interval.of("1w");
  const month = Interval.of("1M");
  for (let index = -30; index < 700; index += 1) {
    expect(new Date(week.openOf(index)).getUTCDay()).toBe(1);
    const open = new Date(month.openOf(index)).toISOString();
    expect(open).toEndWith("-01T00:00:00.000Z");
  }
  expect(month.isFixed).toBeFalse();
  expect(week.isFixed).toBeTrue();
});

function isMultiple(text: string): boolean {
  const [coarse, fine] = text.split(" of ");
  return Interval.of(coarse).isMultipleOf(Interval.of(fine));
}

test("isMultipleOf() is true where whole bars of the finer make up each bar", () => {
  const yes = ["1m of 1m", "5m of 1m", "1h of 15m", "1d of 8h", "3d of 1d", "1w of 1d", "1M of 1d"];
  const more = ["1M of 12h", "1M of 1M", "3d of 12h"];
  const no = ["1m of 5m", "5m of 3m", "8h of 6h", "1w of 3d", "1M of 1w", "1M of 3d", "1w of 1M"];
  for (const text of [...yes, ...more]) expect([text, isMultiple(text)]).toEqual([text, true]);
  for (const text of no) expect([text, isMultiple(text)]).toEqual([text, false]);
});

// Goal: the rule agrees with the grids. Method: a bar of the coarse one opens and closes on them.
test("isMultipleOf() agrees with the openings of the bars themselves", () => {
  for (const coarse of intervalNames.map((name) => Interval.of(name))) {
    for (const fine of intervalNames.map((name) => Interval.of(name))) {
      let isOnGrid = true;
      for (let index = 0; index < 40; index += 1) {
        const open = coarse.openOf(index);
        if (fine.floor(open) !== open) isOnGrid = false;
      }
      expect([coarse.name, fine.name, coarse.isMultipleOf(fine)]).toEqual([
        coarse.name,
        fine.name,
        isOnGrid,
      ]);
    }
  }
});

test("countBetween() counts the bars that [start, end) touches", () => {
  const minute = Interval.of("1m");
  expect(minute.countBetween(0, 60_000)).toBe(1);
  expect(minute.countBetween(0, 60_001)).toBe(2);
  expect(minute.countBetween(0, 180_000)).toBe(3);
  expect(minute.countBetween(60_000, 60_000)).toBe(0);
  expect(minute.countBetween(120_000, 0)).toBe(0);
  expect(Interval.of("1M").countBetween(at("2024-01-01"), at("2025-01-01"))).toBe(12);
});

test("periodBars() takes bars, or a length of time in whole bars", () => {
  expect(periodBars(120, Interval.of("1m"))).toBe(120);
  expect(periodBars("7d", Interval.of("1m"))).toBe(10_080);
  expect(periodBars("1h", Interval.of("15m"))).toBe(4);
  expect(periodBars("90m", Interval.of("30m"))).toBe(3);
  expect(periodBars("2w", Interval.of("1w"))).toBe(2);
  expect(periodBars("60s", Interval.of("1m"))).toBe(1);
  expect(periodBars(12, Interval.of("1M"))).toBe(12);
});

test("periodBars() refuses what is missing, not an integer >= 1, or no whole number of bars", () => {
  const minute = Interval.of("1m");
  const wrong = [
    0,
    -1,
    1.5,
    Number.NaN,
    2 ** 53,
    "",
    "7",
    "0d",
    "7D",
    "7 d",
    "30s",
    "90s",
    null,
    {},
  ];
  for (const value of wrong) {
    expect(codeOf(() => periodBars(value, minute))).toStartWith("PERIOD_INVALID");
  }
  expect(codeOf(() => periodBars(undefined, minute))).toContain("none was given");
  expect(codeOf(() => periodBars("1h", Interval.of("1M")))).toStartWith("PERIOD_INVALID");
  expect(codeOf(() => periodBars("7m", Interval.of("5m")))).toContain('found "7m"');
});
