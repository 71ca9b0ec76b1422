import { openHistory } from "../../../connectors/questdb/index.ts";
import { runHistoryStoreSuite } from "../../contract/history-store.suite.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";

const signal = AbortSignal.timeout(300_000);
const write = { mode: "write", isSimulated: false } as const;

// Tables are shared by all tests of the file, as in life; each test has node IDs of its own.
const prefix = uniqueName("contract");

describeWithServers(["questdb"], "questdb:// history", (started) => {
  runHistoryStoreSuite({
    name: "questdb history",
    isDurable: true,
    histories: 15,
    async create() {
      const url = `${started().questdb.url}?prefix=${prefix}`;
      return {
        open: async (options) => await openHistory(url, { ...write, ...options }, signal),
        dispose: async () => undefined,
      };
    },
  });
});
