import { expect, test } from "bun:test";
import { connectors } from "../../../../connectors/index.ts";
import { openState } from "../../../../connectors/memory/index.ts";
import { replayCheckpoints } from "../../../../runtime/worker/replay/replay-state.ts";

const signal = AbortSignal.timeout(10_000);
const order = {
  ids: ["a".repeat(32)],
  components: [{ roots: [{ node: 0, key: "BTCUSDT" }], hasJoins: false }],
  ranges: [[{ start: 0, end: 60_000 }]],
  task: "Sample-backtest/0/0",
  isSimulated: false,
  history: connectors.refOf("history", "sqlite:a.db"),
} as unknown as Parameters<typeof replayCheckpoints>[1];

test("state is of one plan: the same order has the same, any other order another", async () => {
  const state = await openState("memory:", signal);
  const planOf = (more: object) => replayCheckpoints(state, { ...order, ...more }).plan;
  expect(planOf({})).toBe(planOf({}));
  const others = [
    { ids: ["b".repeat(32)] },
    { components: [] },
    { ranges: [[{ start: 0, end: 120_000 }]] },
    { isSimulated: true },
    // In another store the outputs before the checkpoint may not be.
    { history: connectors.refOf("history", "sqlite:b.db") },
  ];
  expect(new Set([planOf({}), ...others.map(planOf)]).size).toBe(6);
  expect(replayCheckpoints(state, order).name).toBe("Sample-backtest/0/0");
  await state.close();
});
