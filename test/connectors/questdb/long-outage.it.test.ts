import { expect, test } from "bun:test";
import { openHistory } from "../../../connectors/questdb/index.ts";
import { LastingHistory } from "../../../runtime/worker/outage/lasting-history.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { TcpProxy } from "../../harness/tcp-proxy.ts";
import { bars, barsIn, barsOf, newSeries, numbers, signal } from "./klines.ts";

const write = { mode: "write", isSimulated: false } as const;

describeWithServers(["questdb"], "QuestDB that stays away", (started) => {
  test("an outage longer than retryMsMax is named in one line, and the run's calls go on after it", async () => {
    await using proxy = await TcpProxy.start(started().questdb.port);
    const url = `questdb://127.0.0.1:${proxy.port}?prefix=${uniqueName("away")}&retryMsMax=50`;
    const notes: string[] = [];
    const isNamed = Promise.withResolvers<void>();
    const onNote = (text: string): void => {
      notes.push(text);
      isNamed.resolve();
    };
    const store = new LastingHistory(await openHistory(url, write, signal()), url, {
      onNote,
      limitMs: undefined,
    });
    const series = newSeries();
    await store.persist(series, { rows: barsOf(0, 10), have: [bars(0, 10)], empty: [] }, signal());
    proxy.set({ connections: "refuse" });
    proxy.reset();
    const page = { rows: barsOf(10, 20), have: [bars(10, 20)], empty: [] };
    const calls = Promise.all([
      store.persist(series, page, signal()),
      store.coverage(series, signal()),
    ]);
    await isNamed.promise;
    proxy.heal();
    await calls;
    expect(await barsIn(store, series)).toEqual(numbers(0, 20));
    expect(notes).toEqual([
      expect.stringMatching(
        /^Waiting for questdb:.*, and trying again: .*tried \d+ times in 50 ms/,
      ),
      `${url} is up: going on`,
    ]);
    await store.close();
  });
});
