import { expect, test } from "bun:test";
import { openHistory } from "../../../connectors/memory/index.ts";
import { kline, newColumnBatch, type Series } from "../../../runtime/index.ts";
import { runHistoryStoreSuite } from "../../contract/history-store.suite.ts";

const signal = AbortSignal.timeout(60_000);
const write = { mode: "write", isSimulated: false } as const;
const series: Series = {
  nodeId: "0".repeat(32),
  definitionId: "1".repeat(32),
  key: "BTCUSDT",
  interval: "1m",
  schema: kline,
};

runHistoryStoreSuite({
  name: "memory history",
  isDurable: false,
  histories: 100,
  async create() {
    const url = `memory:${crypto.randomUUID()}`;
    // Named data lives as long as somebody has it open.
    const holder = await openHistory(url, write, signal);
    const simulated = await openHistory(url, { ...write, isSimulated: true }, signal);
    return {
      open: async (options) => await openHistory(url, { ...write, ...options }, signal),
      async dispose() {
        await holder.close();
        await simulated.close();
      },
    };
  },
});

const page = { rows: newColumnBatch(0, 10), have: [{ start: 0, end: 60_000 }], empty: [] };

test("memory: without a name is fresh with each opener", async () => {
  const [a, b] = [
    await openHistory("memory:", write, signal),
    await openHistory("memory:", write, signal),
  ];
  await a.persist(series, page, signal);
  expect(await b.list(signal)).toEqual([]);
});

test("memory:NAME is shared while one opener has it, and gone with the last one", async () => {
  const a = await openHistory("memory:shared", write, signal);
  const b = await openHistory("memory:shared", write, signal);
  await a.persist(series, page, signal);
  await a.close();
  await a.close();
  expect(await b.list(signal)).toEqual([series]);
  await b.close();
  const c = await openHistory("memory:shared", write, signal);
  expect(await c.list(signal)).toEqual([]);
  await c.close();
});

test("a page beyond bytesMax is refused whole with STORE_FULL; one within it still fits", async () => {
  const store = await openHistory("memory:?bytesMax=1024", write, signal);
  const full = newColumnBatch(11, 10);
  for (let i = 0; i < 11; i += 1) full.ts[i] = i * 60_000;
  const have = [{ start: 0, end: 660_000 }];
  // A row of ts, seq and ten fields takes 96 bytes: ten fit into 1,024, eleven do not.
  const refused = store.persist(series, { rows: full, have, empty: [] }, signal);
  expect(refused).rejects.toMatchObject({ code: "STORE_FULL", details: { bytes: 1_056 } });
  await refused.catch(() => undefined);
  expect(await store.coverage(series, signal)).toEqual({ have: [], empty: [] });
  await store.persist(series, { rows: { ...full, count: 10 }, have, empty: [] }, signal);
  expect(await store.coverage(series, signal)).toEqual({ have, empty: [] });
});

test("an unknown setting or a bad one is CONFIG_INVALID, all faults at once", async () => {
  const failure = openHistory("memory:a b?bytesMax=1&speed=9", write, signal);
  expect(failure).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  const text = String(await failure.catch((error: unknown) => error));
  for (const part of ["name", "bytesMax", "speed"]) expect(text).toContain(part);
});
