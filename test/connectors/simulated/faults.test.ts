import { expect, test } from "bun:test";
import { FaultSchedule } from "../../../connectors/simulated/faults.ts";
import { parseFaults } from "../../../connectors/simulated/index.ts";
import { hasCode } from "../../../runtime/index.ts";

/** Kinds of the next `count` answers. */
function take(schedule: FaultSchedule, count: number, path = "/api/v3/klines"): string[] {
  return Array.from({ length: count }, () => schedule.take(path)?.kind ?? "-");
}

test("a rule shows on each n-th request, `times` times at most", () => {
  const schedule = new FaultSchedule(parseFaults(["500:every=3,times=2"]));
  expect(take(schedule, 10)).toEqual(["-", "-", "500", "-", "-", "500", "-", "-", "-", "-"]);
  expect(schedule.countOf("500")).toBe(2);
});

test("each rule counts all requests; where two are due, the first shows", () => {
  const schedule = new FaultSchedule(parseFaults(["cut:every=2", "us:every=3"]));
  expect(take(schedule, 6)).toEqual(["-", "cut", "us", "cut", "-", "cut"]);
});

test("a rule with a path counts only its requests", () => {
  const schedule = new FaultSchedule(parseFaults(["stall:every=2,path=time"]));
  expect(take(schedule, 2)).toEqual(["-", "-"]);
  expect(take(schedule, 2, "/api/v3/time")).toEqual(["-", "stall"]);
});

test("next() comes before the rules, clear() ends both", () => {
  const schedule = new FaultSchedule(parseFaults(["500"]));
  schedule.next("429", { times: 2, retryAfterSeconds: 3 });
  expect(schedule.take("/x")).toEqual({ kind: "429", retryAfterSeconds: 3 });
  expect(take(schedule, 2)).toEqual(["429", "500"]);
  schedule.clear();
  expect(take(schedule, 1)).toEqual(["-"]);
});

test("gaps and open are faults of the market, not of one answer", () => {
  const schedule = new FaultSchedule(parseFaults(["gaps:every=5", "open"]));
  expect([schedule.gapsEvery, schedule.showsOpen]).toEqual([5, true]);
  expect(take(schedule, 5)).toEqual(["-", "-", "-", "-", "-"]);
});

test("a text that is no fault is CONFIG_INVALID, naming it", () => {
  for (const text of [
    "503",
    "429:every=0",
    "429:retryAfter=x",
    "429:often=1",
    "gaps",
    "gaps:every=1",
  ]) {
    let error: unknown;
    try {
      parseFaults([text]);
    } catch (thrown) {
      error = thrown;
    }
    expect([text, hasCode(error, "CONFIG_INVALID")]).toEqual([text, true]);
    expect(String(error)).toContain(`"${text}"`);
  }
});
