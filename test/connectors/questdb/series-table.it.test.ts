import { expect, test } from "bun:test";
import { openHistory } from "../../../connectors/questdb/index.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { barsOf, newSeries, query, signal } from "./klines.ts";

const write = { mode: "write", isSimulated: false } as const;

describeWithServers(["questdb"], "series in QuestDB", (started) => {
  test("a store of before there were names is read without, and a writer adds them", async () => {
    const prefix = uniqueName("names");
    const url = `${started().questdb.url}?prefix=${prefix}`;
    const [series, page] = [newSeries(), { rows: barsOf(0, 1), have: [], empty: [] }];
    const first = await openHistory(url, write, signal());
    await first.persist(series, page, signal());
    await first.close();
    await query(started().questdb.port, `DROP TABLE ${prefix}_names`);
    const reader = await openHistory(`${url}&batchMsMax=1`, { ...write, mode: "read" }, signal());
    expect(await reader.list(signal())).toEqual([series]);
    const writer = await openHistory(url, write, signal());
    await writer.persist({ ...series, name: "found" }, page, signal());
    for (const store of [reader, writer]) {
      expect(await store.list(signal())).toEqual([{ ...series, name: "found" }]);
      await store.close();
    }
  });
});
