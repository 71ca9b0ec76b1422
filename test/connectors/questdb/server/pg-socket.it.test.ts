import { expect, test } from "bun:test";
import { openHistory } from "../../../../connectors/questdb/index.ts";
import { hasCode } from "../../../../runtime/index.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { describeWithServers, uniqueName } from "../../../harness/servers.ts";
import { newCertificate, TlsProxy } from "../../../harness/tls-proxy.ts";
import { bars, barsIn, barsOf, newSeries, numbers, signal } from "../klines.ts";

const write = { mode: "write", isSimulated: false } as const;

describeWithServers(["questdb"], "QuestDB behind TLS", (started) => {
  test("questdbs:// writes and reads through TLS, and trusts the authority it is told to only", async () => {
    const { port, pgPort } = started().questdb;
    using certificate = newCertificate();
    await using http = await TlsProxy.start(port, certificate);
    await using pg = await TlsProxy.start(pgPort, certificate, "postgres");
    const urlOf = (path: string): string =>
      `questdbs://:to%3Aken@127.0.0.1:${http.port}?pgPort=${pg.port}&prefix=${uniqueName("tls")}&retryMsMax=300&tlsCa=${encodeURIComponent(path)}`;
    const store = await openHistory(urlOf(certificate.path), write, signal());
    const series = newSeries();
    const page = { rows: barsOf(0, 70_000), have: [bars(0, 70_000)], empty: [] };
    await store.persist(series, page, signal());
    expect(await barsIn(store, series)).toEqual(numbers(0, 70_000));
    expect(http.said).toMatch(/authorization: Bearer to:ken\r\n/i);
    expect(pg.said).toContain("SELECT");
    await store.close();

    using other = newCertificate();
    const stranger = await failureOf(openHistory(urlOf(other.path), write, signal()));
    expect(String(stranger)).toMatch(/certificate/);
    expect(String(stranger)).not.toContain("ken");
  });

  test("a PostgreSQL port without TLS is refused by name, and told nothing", async () => {
    const { port, pgPort } = started().questdb;
    using certificate = newCertificate();
    await using http = await TlsProxy.start(port, certificate);
    const url = `questdbs://127.0.0.1:${http.port}?pgPort=${pgPort}&prefix=${uniqueName("tls")}&tlsCa=${encodeURIComponent(certificate.path)}`;
    const store = await openHistory(url, write, signal());
    const series = newSeries();
    await store.persist(series, { rows: barsOf(0, 1), have: [], empty: [] }, signal());
    const failure = await failureOf(barsIn(store, series));
    expect(hasCode(failure, "CONFIG_INVALID")).toBe(true);
    expect(String(failure)).toContain("has no TLS there");
    await store.close();
  });
});
