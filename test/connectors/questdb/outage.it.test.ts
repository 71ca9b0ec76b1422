import { expect, test } from "bun:test";
import { openHistory } from "../../../connectors/questdb/index.ts";
import { startQuestdb } from "../../../runtime/cli/servers/index.ts";
import { type HistoryStore, hasCode } from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { TcpProxy } from "../../harness/tcp-proxy.ts";
import { bars, barsIn, barsOf, newSeries, numbers, query, signal } from "./klines.ts";

const write = { mode: "write", isSimulated: false } as const;
/** How long a server stays frozen. */
const frozenMs = process.env["QMTL_SOAK"] === "1" ? 15_000 : 500;
const pageOf = (from: number, to: number) => ({
  rows: barsOf(from, to),
  have: [bars(from, to)],
  empty: [],
});

describeWithServers(["questdb"], "QuestDB behind a bad network", (started) => {
  const proxied = async (proxy: TcpProxy, settings = ""): Promise<HistoryStore> =>
    await openHistory(
      `questdb://127.0.0.1:${proxy.port}?prefix=${uniqueName("net")}${settings}`,
      write,
      signal(),
    );

  test("a page whose replies are lost is stored once, and the call goes on by itself", async () => {
    await using proxy = await TcpProxy.start(started().questdb.port);
    const store = await proxied(proxy);
    const series = newSeries();
    await store.persist(series, pageOf(0, 10), signal());
    for (let round = 1; round <= 3; round += 1) {
      const lost = proxy.counts.lostReplyBytes;
      proxy.set({ replies: "cut" });
      const writing = store.persist(series, pageOf(10 * round, 10 * round + 20), signal());
      await proxy.until((counts) => counts.lostReplyBytes > lost);
      proxy.heal();
      await writing;
    }
    expect(await barsIn(store, series)).toEqual(numbers(0, 50));
    expect((await store.coverage(series, signal())).have).toEqual([bars(0, 50)]);
    await store.close();
  });

  test("a server that stays away is STORE_UNAVAILABLE after retryMsMax", async () => {
    await using proxy = await TcpProxy.start(started().questdb.port);
    const store = await proxied(proxy, "&retryMsMax=300");
    const series = newSeries();
    await store.persist(series, pageOf(0, 1), signal());
    proxy.set({ connections: "refuse" });
    proxy.reset();
    const failure = await failureOf(store.persist(series, pageOf(1, 2), signal()));
    expect(hasCode(failure, "STORE_UNAVAILABLE")).toBe(true);
    expect(String(failure)).toMatch(/tried \d+ times in 300 ms/);
    proxy.heal();
    await store.persist(series, pageOf(1, 2), signal());
    expect(await barsIn(store, series)).toEqual([0, 1]);
    await store.close();
  });

  test("silence is given up after requestMsMax and tried again", async () => {
    await using proxy = await TcpProxy.start(started().questdb.port);
    const store = await proxied(proxy, "&requestMsMax=200");
    const series = newSeries();
    await store.persist(series, pageOf(0, 1), signal());
    proxy.set({ requests: "hold" });
    const before = proxy.counts.connections;
    const writing = store.persist(series, pageOf(1, 2), signal());
    await proxy.until((counts) => counts.connections > before);
    proxy.heal();
    proxy.reset();
    await writing;
    expect(await barsIn(store, series)).toEqual([0, 1]);
    await store.close();
  });

  test("an abort ends a call that is being tried again, with the signal's reason", async () => {
    await using proxy = await TcpProxy.start(started().questdb.port);
    const store = await proxied(proxy);
    const series = newSeries();
    await store.persist(series, pageOf(0, 1), signal());
    proxy.set({ connections: "refuse" });
    proxy.reset();
    const stop = new AbortController();
    const reason = new Error("enough");
    const before = proxy.counts.connections;
    const writing = store.persist(series, pageOf(1, 2), stop.signal);
    writing.catch(() => undefined);
    await proxy.until((counts) => counts.connections > before + 1);
    stop.abort(reason);
    expect(await failureOf(writing)).toBe(reason);
    await store.close();
  });

  test("close() ends what is under way with STORE_CLOSED", async () => {
    await using proxy = await TcpProxy.start(started().questdb.port);
    const store = await proxied(proxy);
    const series = newSeries();
    await store.persist(series, pageOf(0, 1), signal());
    proxy.set({ requests: "hold" });
    const sent = proxy.counts.requestBytes;
    const writing = store.persist(series, pageOf(1, 2), signal());
    writing.catch(() => undefined);
    await proxy.until((counts) => counts.requestBytes > sent);
    await store.close();
    expect(hasCode(await failureOf(writing), "STORE_CLOSED")).toBe(true);
  });

  test("a reader's broken connection is replaced in the middle of a fetch", async () => {
    const { pgPort, url } = started().questdb;
    await using proxy = await TcpProxy.start(pgPort);
    const settings = `prefix=${uniqueName("net")}&pgPort=${proxy.port}`;
    const store = await openHistory(`${url}?${settings}`, write, signal());
    const series = newSeries();
    await store.persist(series, pageOf(0, 70_000), signal());
    const found: number[] = [];
    for await (const batch of store.fetch(series, bars(0, 70_000), signal())) {
      found.push(...batch.columns[0]!.subarray(0, batch.count));
      proxy.reset();
    }
    expect(found).toEqual([...numbers(0, 70_000)]);
    expect(proxy.counts.connections).toBeGreaterThan(1);
    await store.close();
  });

  test("a suspended table is named, and a page goes through once it is resumed", async () => {
    await using questdb = await startQuestdb({ settings: { "dev.mode.enabled": "true" } });
    const store = await openHistory(questdb.url, write, signal());
    const series = newSeries();
    await store.persist(series, pageOf(0, 1), signal());
    await query(questdb.port, "ALTER TABLE qmtl_kline SUSPEND WAL");
    const failure = await failureOf(store.persist(series, pageOf(1, 2), signal()));
    expect(hasCode(failure, "STORE_UNAVAILABLE")).toBe(true);
    expect(String(failure)).toContain('ALTER TABLE "qmtl_kline" RESUME WAL');
    expect((await store.coverage(series, signal())).have).toEqual([bars(0, 1)]);
    await query(questdb.port, "ALTER TABLE qmtl_kline RESUME WAL");
    await store.persist(series, pageOf(1, 2), signal());
    expect(await barsIn(store, series)).toEqual([0, 1]);
    expect((await store.coverage(series, signal())).have).toEqual([bars(0, 2)]);
    await store.close();
  }, 60_000);

  test("a server with a login takes ours, refuses others by name, and may freeze", async () => {
    const login = { user: "me", password: "p@ss:word" };
    await using questdb = await startQuestdb({
      settings: {
        "http.user": login.user,
        "http.password": login.password,
        "pg.user": login.user,
        "pg.password": login.password,
      },
    });
    const urlOf = (password: string): string =>
      questdb.url.replace("://", `://me:${encodeURIComponent(password)}@`);
    const store = await openHistory(urlOf(login.password), write, signal());
    const series = newSeries();
    await store.persist(series, pageOf(0, 5), signal());
    expect(await barsIn(store, series)).toEqual(numbers(0, 5));

    for (const url of [questdb.url, urlOf("wrong")]) {
      const failure = await failureOf(openHistory(url, write, signal()));
      expect(hasCode(failure, "CONFIG_INVALID")).toBe(true);
      expect(String(failure)).not.toContain('wrong"');
    }
    questdb.freeze();
    const writing = store.persist(series, pageOf(5, 10), signal());
    const reading = barsIn(store, series);
    const frozen = (async () => {
      await Bun.sleep(frozenMs);
      return "frozen";
    })();
    expect(await Promise.race([writing, reading, frozen])).toBe("frozen");
    questdb.thaw();
    await Promise.all([writing, reading]);
    expect(await barsIn(store, series)).toEqual(numbers(0, 10));
    await store.close();
  }, 60_000);
});
