import { expect, setDefaultTimeout, test } from "bun:test";
import { freePort, startQuestdb, startRedis } from "../../../runtime/cli/servers/index.ts";
import { untilTrue } from "../../harness/kill-rounds.ts";
import { beginMainJob, contentsAt } from "../../harness/main-job.ts";
import { scratchDirectory } from "../../harness/scratch.ts";
import { describeNeeding, firstStartMsMax } from "../../harness/servers.ts";

setDefaultTimeout(firstStartMsMax);
const directory = scratchDirectory();
const start = Date.UTC(2025, 2, 1);
const end = start + 6 * 3_600_000;

describeNeeding(["questdb", "redis"], "servers that are down at the start", () => {
  test("each is named in one line, waited for, and the job goes on by itself", async () => {
    const [questdbPort, redisPort] = [await freePort(), await freePort()];
    const history = `questdb://127.0.0.1:${questdbPort}`;
    const state = `redis://127.0.0.1:${redisPort}`;
    const more = ["--exchange", "simulated:4"];
    const child = beginMainJob({ history, state, start, end, directory, more });
    let stderr = "";
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const piece of child.stderr) stderr += decoder.decode(piece, { stream: true });
    })();
    const isOver = (): boolean => child.exitCode !== null;
    const hasNamed = (url: string) =>
      untilTrue(() => stderr.includes(`Waiting for ${url}`), isOver);
    expect([await hasNamed(history), await hasNamed(state)]).toEqual([true, true]);
    // One comes long before the other.
    await using redis = await startRedis({ port: redisPort, appendFsync: "always" });
    expect(await untilTrue(() => stderr.includes(`${redis.url} is up`), isOver)).toBe(true);
    expect(child.exitCode).toBe(null);
    await using questdb = await startQuestdb({ port: questdbPort });
    expect(await child.exited).toBe(0);
    await reading;
    const lines = stderr.trimEnd().split("\n");
    for (const url of [history, state]) {
      expect(lines.filter((line) => line.includes(url))).toEqual([
        expect.stringContaining(`Waiting for ${url}, and trying again: `),
        `${url} is up: going on`,
      ]);
    }
    expect(lines).toHaveLength(4);
    expect(Object.keys(await contentsAt(questdb.url, true))).toHaveLength(8);
  });
});
