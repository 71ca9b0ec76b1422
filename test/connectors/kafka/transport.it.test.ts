import { openTransport } from "../../../connectors/kafka/index.ts";
import { runTransportSuite } from "../../contract/transport.suite.ts";
import { describeWithServers } from "../../harness/servers.ts";

describeWithServers(["kafka"], "kafka: as a transport", (started) => {
  runTransportSuite({
    name: "kafka",
    histories: 5,
    create: async () => ({
      open: async () => await openTransport(started().kafka.url, AbortSignal.timeout(10_000)),
      dispose: async () => undefined,
    }),
  });
});
