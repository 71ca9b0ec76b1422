/** A live run in a process of its own, to be killed: `bun live-child.ts JSON`. */
import { Runner } from "qmtl";
import { Means } from "./live-strategies.ts";

/** What the test hands over. */
export interface ChildOrder {
  readonly transport: string;
  readonly state: string;
  readonly deployment: string;
  readonly symbols: readonly string[];
}

if (import.meta.main) {
  const order = JSON.parse(process.argv[2] ?? "{}") as ChildOrder;
  await Runner.live(Means, {
    ...order,
    threads: 2,
    module: new URL("live-strategies.ts", import.meta.url).href,
    pace: { checkpointMs: 20, partitionBytesMax: 4_096, fetchBytesMax: 65_536 },
  });
}
