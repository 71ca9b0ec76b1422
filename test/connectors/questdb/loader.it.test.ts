import { expect, test } from "bun:test";
import { questdbLoader, questdbRecorder } from "../../../connectors/questdb/index.ts";
import { hasCode } from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { TcpProxy } from "../../harness/tcp-proxy.ts";
import { ArrayExchange } from "../../runtime/engine/array-exchange.ts";
import { at, bars, barsOf, newSeries, numbers, signal } from "./klines.ts";

describeWithServers(["questdb"], "questdbLoader() and questdbRecorder()", (started) => {
  test("complete what a recorder left open, and ask for nothing that is there", async () => {
    const url = `${started().questdb.url}?prefix=${uniqueName("loader")}`;
    const series = newSeries();
    const recorder = questdbRecorder({ url });
    const page = { rows: barsOf(10, 20), have: [bars(10, 20)], empty: [] };
    await recorder.persist(series, page, signal());
    const fetcher = new ArrayExchange(numbers(0, 30).map(at), {
      pageRows: 100,
      serverTimeMs: at(40),
    });
    const loader = questdbLoader({ url, fetcher });
    const result = await loader.fillMissing(series, bars(0, 30), signal());
    expect(result).toMatchObject({ rowsFetched: 20, requests: 2, holes: [], missing: [] });
    expect(fetcher.asked).toEqual([bars(0, 10), bars(20, 30)]);
    expect((await loader.coverage(series, signal())).have).toEqual([bars(0, 30)]);
    const times: number[] = [];
    for await (const { ts, count } of loader.fetch(series, bars(5, 25), signal())) {
      times.push(...ts.subarray(0, count));
    }
    expect(times).toEqual(numbers(5, 25).map(at));
    await loader.close();
    await recorder.close();
  });

  test("a loader without a fetcher reads, and says so when asked to fill", async () => {
    const url = `${started().questdb.url}?prefix=${uniqueName("loader")}`;
    const loader = questdbLoader({ url });
    expect(loader.url).toBe(url);
    expect(await loader.coverage(newSeries(), signal())).toEqual({ have: [], empty: [] });
    const failure = await failureOf(loader.fillMissing(newSeries(), bars(0, 1), signal()));
    expect(hasCode(failure, "ARGUMENT_INVALID")).toBe(true);
    await loader.close();
    await loader.close();
    const late = await failureOf(loader.coverage(newSeries(), signal()));
    expect(hasCode(late, "STORE_CLOSED")).toBe(true);
  });

  test("users of one URL share readers, which close with the last user", async () => {
    await using proxy = await TcpProxy.start(started().questdb.pgPort);
    const url = `${started().questdb.url}?prefix=${uniqueName("loader")}&pgPort=${proxy.port}`;
    const recorder = questdbRecorder({ url });
    const series = newSeries();
    await recorder.persist(series, { rows: barsOf(0, 3), have: [], empty: [] }, signal());
    const loaders = [questdbLoader({ url }), questdbLoader({ url }), questdbLoader({ url })];
    for (const loader of loaders) {
      const batches = await Array.fromAsync(loader.fetch(series, bars(0, 9), signal()));
      expect(batches.map(({ count }) => count)).toEqual([3]);
    }
    expect(proxy.counts.connections).toBe(1);
    for (const one of [...loaders, recorder]) await one.close();
    const again = questdbLoader({ url });
    await Array.fromAsync(again.fetch(series, bars(0, 9), signal()));
    expect(proxy.counts.connections).toBe(2);
    await again.close();
  });

  test("a server that is down at first is used once it is up", async () => {
    await using proxy = await TcpProxy.start(started().questdb.port);
    const prefix = uniqueName("loader");
    const recorder = questdbRecorder({ url: `questdb://127.0.0.1:${proxy.port}?prefix=${prefix}` });
    proxy.set({ connections: "refuse" });
    const page = { rows: barsOf(0, 3), have: [bars(0, 3)], empty: [] };
    const writing = recorder.persist(newSeries(), page, signal());
    await proxy.until(({ connections }) => connections >= 2);
    proxy.heal();
    await writing;
    await recorder.close();
  });
});
