import { expect, test } from "bun:test";
import { openHistory } from "../../../../connectors/memory/index.ts";
import {
  type HistoryStore,
  newColumnBatch,
  QmtlError,
  type Series,
} from "../../../../runtime/index.ts";
import { LastingHistory } from "../../../../runtime/worker/outage/lasting-history.ts";
import { failureOf } from "../../../contract/failure-of.ts";

const signal = (): AbortSignal => AbortSignal.timeout(10_000);
const series: Series = {
  nodeId: "ab".repeat(16),
  definitionId: "cd".repeat(16),
  key: "BTCUSDT",
  interval: "1s",
  schema: { price: "f64" },
};
const range = { start: 0, end: 1_000_000 };
const down = () => new QmtlError("STORE_UNAVAILABLE", "Cannot reach it: refused");

/** Rows of two seq at each second. */
function pageOf(seconds: number) {
  const rows = newColumnBatch(2 * seconds, 1);
  for (let i = 0; i < rows.count; i += 1) {
    rows.ts[i] = 1_000 * (i >> 1);
    rows.seq[i] = i & 1;
    rows.columns[0]![i] = i;
  }
  return { rows, have: [{ start: 0, end: 1_000 * seconds }], empty: [] };
}

/** A store in memory of which the next `failures` calls fail; each fetch breaks after two rows more, the first after `fetchRows`. */
async function failing(given: { failures: number; fetchRows: number; limitMs?: number }) {
  const state = { ...given };
  const store = await openHistory("memory:", { mode: "write", isSimulated: false }, signal());
  const check = (): void => {
    if ((state.failures -= 1) >= 0) throw down();
  };
  const flaky: HistoryStore = {
    capabilities: store.capabilities,
    coverage: async (...args) => (check(), await store.coverage(...args)),
    persist: async (...args) => (check(), await store.persist(...args)),
    forget: async (...args) => (check(), await store.forget(...args)),
    list: async (...args) => (check(), await store.list(...args)),
    async *fetch(...args) {
      let left = state.fetchRows;
      state.fetchRows += 2;
      for await (const batch of store.fetch(...args)) {
        for (let i = 0; i < batch.count; i += 1, left -= 1) {
          if (left === 0) throw down();
          const row = newColumnBatch(1, 1);
          row.ts[0] = batch.ts[i]!;
          row.seq[0] = batch.seq[i]!;
          row.columns[0]![0] = batch.columns[0]![i]!;
          yield row;
        }
      }
    },
    close: async () => await store.close(),
  };
  const notes: string[] = [];
  const onNote = (text: string) => notes.push(text);
  const lasting = new LastingHistory(flaky, "db://h", { onNote, limitMs: given.limitMs });
  return { lasting, notes, state };
}

const named = [
  "Waiting for db://h, and trying again: Cannot reach it: refused",
  "db://h is up: going on",
];

test("calls made in one outage are repeated until it ends, which is told once, as its start is", async () => {
  const { lasting, notes, state } = await failing({ failures: 5, fetchRows: -1 });
  const page = pageOf(3);
  await Promise.all([
    lasting.persist(series, page, signal()),
    lasting.list(signal()),
    lasting.coverage(series, signal()),
  ]);
  expect(notes).toEqual(named);
  expect((await lasting.coverage(series, signal())).have).toEqual(page.have);
  state.failures = 1;
  await lasting.forget(series, range, signal());
  expect(notes).toEqual([...named, ...named]);
});

test("a fetch that breaks goes on behind the last row it yielded, each row once", async () => {
  for (const fetchRows of [2, 3, 4]) {
    const { lasting, notes } = await failing({ failures: 0, fetchRows });
    await lasting.persist(series, pageOf(3), signal());
    const found: number[] = [];
    for await (const { columns } of lasting.fetch(series, range, signal()))
      found.push(columns[0]![0]!);
    expect(found).toEqual([0, 1, 2, 3, 4, 5]);
    expect(notes.slice(0, 2)).toEqual(named);
  }
});

test("what waiting can't mend passes at once; with a limit, an outage passes too", async () => {
  const { lasting, notes } = await failing({ failures: 9, fetchRows: -1, limitMs: 0 });
  expect(await failureOf(lasting.list(signal()))).toMatchObject({ code: "STORE_UNAVAILABLE" });
  await lasting.close();
  const { lasting: closed } = await failing({ failures: 0, fetchRows: -1 });
  await closed.close();
  expect(await failureOf(closed.list(signal()))).toMatchObject({ code: "STORE_CLOSED" });
  expect(notes).toEqual([]);
});
