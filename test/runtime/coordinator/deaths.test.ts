import { expect, test } from "bun:test";
import {
  Deaths,
  ThreadDeath,
  type WatchLimits,
  watchDefaults,
} from "../../../runtime/coordinator/deaths.ts";
import { QmtlError } from "../../../runtime/index.ts";
import { BoardRow, newBoardMemory } from "../../../runtime/worker/live/board.ts";

const second = 1_000;

/** Deaths under a clock that the test owns; `crash` is one of node 2 in partition 3. */
function watched(limits: Partial<WatchLimits> = {}) {
  const time = { ms: 0 };
  const clock = { now: () => time.ms, sleep: async () => undefined };
  const deaths = new Deaths({ ...watchDefaults, ...limits }, clock);
  return {
    deaths,
    /** Lets `ms` pass, then a thread dies. */
    crash: (ms: number, node = 2, code: "COMPUTE_FAILED" | "WORKER_FAILED" = "COMPUTE_FAILED") => {
      time.ms += ms;
      const row = new BoardRow(newBoardMemory(1), 0);
      row.begin();
      row.partition = 3;
      row.heartbeat[0] = node;
      row.fail();
      return deaths.add(new ThreadDeath(new QmtlError(code, "Cannot go on: on purpose"), row));
    },
    pass: (ms: number) => {
      time.ms += ms;
      return deaths.quarantined;
    },
  };
}

const quarantine = (untilMs: number) => ({ kind: "quarantine", untilMs }) as const;
const restart = { kind: "restart" } as const;

test("the fifth crash within a minute quarantines the node there for a minute", () => {
  const { crash, pass } = watched();
  for (let i = 0; i < 4; i += 1) expect(crash(15 * second)).toEqual(restart);
  // The first is a minute old by now.
  expect(crash(15 * second)).toEqual(restart);
  expect(crash(second)).toEqual(quarantine(76 * second + 60 * second));
  expect(pass(59_999)).toEqual([{ partition: 3, node: 2, untilMs: 136 * second }]);
  expect(pass(1)).toEqual([]);
});

test("one crash soon after the release is enough, for twice as long, up to the longest", () => {
  const { crash } = watched({ quarantineMsMax: 150 * second });
  for (let i = 0; i < 4; i += 1) crash(0);
  expect(crash(0)).toEqual(quarantine(60 * second));
  expect(crash(61 * second)).toEqual(quarantine((61 + 120) * second));
  expect(crash(121 * second)).toEqual(quarantine((182 + 150) * second));
  expect(crash(151 * second)).toEqual(quarantine((333 + 150) * second));
});

test("a node that was well for as long as it was quarantined begins anew", () => {
  const { crash } = watched();
  for (let i = 0; i < 5; i += 1) crash(0);
  for (let i = 0; i < 4; i += 1) expect(crash(i === 0 ? 120 * second : 0)).toEqual(restart);
  expect(crash(0)).toEqual(quarantine((120 + 60) * second));
});

test("another node is judged by its own crashes", () => {
  const { crash, pass } = watched();
  for (let i = 0; i < 5; i += 1) crash(0, 2);
  for (let i = 0; i < 4; i += 1) expect(crash(0, 4)).toEqual(restart);
  expect(crash(0, 4)).toEqual(quarantine(60 * second));
  expect(pass(0).map(({ node }) => node)).toEqual([2, 4]);
});

test("deaths without a node to blame end the run", () => {
  const { crash } = watched();
  for (let i = 0; i < 4; i += 1) expect(crash(0, -1, "WORKER_FAILED")).toEqual(restart);
  expect(crash(0, -1, "WORKER_FAILED")).toEqual({ kind: "end" });
});

test("the pause before a restart grows with deaths in a row, and not beyond 2 s", () => {
  const { crash, deaths } = watched({ crashesMax: 1_000 });
  const pauses = Array.from({ length: 9 }, () => {
    crash(0);
    return deaths.pauseMs;
  });
  expect(pauses).toEqual([0, 50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
});
