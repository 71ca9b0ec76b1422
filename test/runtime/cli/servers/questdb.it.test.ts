import { expect, test } from "bun:test";
import { startQuestdb } from "../../../../runtime/cli/servers/index.ts";
import { describeWithServers } from "../../../harness/servers.ts";

interface Answer {
  readonly dataset: readonly (readonly unknown[])[];
}

async function query(port: number, text: string): Promise<readonly (readonly unknown[])[]> {
  const response = await fetch(`http://127.0.0.1:${port}/exec?query=${encodeURIComponent(text)}`);
  expect(response.status).toBe(200);
  return ((await response.json()) as Answer).dataset ?? [];
}

describeWithServers(["questdb"], "questdb", (started) => {
  test("the shared server is the pinned version", async () => {
    const [row] = await query(started().questdb.port, "SELECT build()");
    expect(String(row?.[0])).toContain("9.3.4");
  });

  test("startQuestdb() keeps committed rows over kill -9 and restart", async () => {
    await using questdb = await startQuestdb();
    await query(
      questdb.port,
      "CREATE TABLE t (ts TIMESTAMP, v LONG) TIMESTAMP(ts) PARTITION BY DAY WAL",
    );
    await query(questdb.port, "INSERT INTO t VALUES (0, 1), (1, 2)");
    await questdb.kill9();
    await questdb.restart();
    // The write-ahead log is applied after the start: wait for what it says, not for a time.
    let sum: unknown = null;
    while (sum === null)
      [[sum]] = (await query(questdb.port, "SELECT sum(v) FROM t")) as [[unknown]];
    expect(sum).toBe(3);
  });
});
