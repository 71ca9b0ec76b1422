import { expect, test } from "bun:test";
import { join } from "node:path";
import { connectors } from "../../../../connectors/index.ts";
import { type Backtest } from "../../../../runtime/engine/backtest/backtest.ts";
import { type RunProgress } from "../../../../runtime/engine/backtest/report.ts";
import { checkState, stateOf } from "../../../../runtime/engine/backtest/state-check.ts";
import { resolveSettings } from "../../../../runtime/engine/settings.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";

function runWith(state: string) {
  const told: RunProgress[] = [];
  const settings = resolveSettings({ state }, {}, "no-such-file.yml");
  const run = { settings, connectors, onProgress: (step: RunProgress) => told.push(step) };
  return { run: run as unknown as Backtest, told };
}

test("memory: ends with the run and is not opened at all", async () => {
  const { run, told } = runWith("memory:");
  expect(stateOf(run)).toBeUndefined();
  await checkState(run, AbortSignal.timeout(10_000));
  expect(told).toEqual([]);
});

test("what a store's settings put at risk is told before the run begins", async () => {
  const { run, told } = runWith("memory:named");
  await checkState(run, AbortSignal.timeout(10_000));
  expect(told).toEqual([
    { kind: "note", text: "State is kept in memory: it ends with this process" },
  ]);
});

test("a store that is open for others can be checked again; a bad URL is refused", async () => {
  const { run, told } = runWith(`sqlite:${join(scratchDirectory(), "state.db")}`);
  await checkState(run, AbortSignal.timeout(10_000));
  await checkState(run, AbortSignal.timeout(10_000));
  expect(told).toEqual([]);
  const { run: bad } = runWith("sqlite:");
  expect(await failureOf(checkState(bad, AbortSignal.timeout(10_000)))).toMatchObject({
    code: "CONFIG_INVALID",
  });
});
