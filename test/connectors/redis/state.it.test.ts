import { openState } from "../../../connectors/redis/index.ts";
import { runStateStoreSuite } from "../../contract/state-store.suite.ts";
import { describeWithServers } from "../../harness/servers.ts";

const signal = AbortSignal.timeout(600_000);

describeWithServers(["redis"], "the shared server", (started) => {
  runStateStoreSuite({
    name: "redis state",
    isDurable: true,
    histories: 150,
    async create() {
      return {
        open: async () => await openState(started().redis.url, signal),
        dispose: async () => undefined,
      };
    },
  });
});
