import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHistory } from "../../../connectors/sqlite/index.ts";
import { runHistoryStoreSuite } from "../../contract/history-store.suite.ts";

const signal = AbortSignal.timeout(60_000);
const write = { mode: "write", isSimulated: false } as const;

runHistoryStoreSuite({
  name: "sqlite history",
  isDurable: true,
  histories: 50,
  async create() {
    const directory = mkdtempSync(join(tmpdir(), "qmtl-history-"));
    const url = `sqlite:${join(directory, "a b'c", "history.db")}`;
    return {
      open: async (options) => await openHistory(url, { ...write, ...options }, signal),
      async dispose() {
        rmSync(directory, { recursive: true });
      },
    };
  },
});
