/** A live run in a process of its own, to be killed: `bun live-child.ts JSON`. */
import { Runner } from "qmtl";
import { Spreads } from "./join-strategies.ts";
import { Means } from "./live-strategies.ts";

const strategies = {
  Means: { strategy: Means, file: "live-strategies.ts" },
  Spreads: { strategy: Spreads, file: "join-strategies.ts" },
} as const;

/** What the test hands over. */
export interface ChildOrder {
  readonly strategy: keyof typeof strategies;
  readonly transport: string;
  readonly state: string;
  readonly deployment: string;
  readonly symbols: readonly string[];
}

/** Starts one. */
export function startChild(order: ChildOrder): ReturnType<typeof Bun.spawn> {
  const file = new URL("live-child.ts", import.meta.url).pathname;
  return Bun.spawn([process.execPath, file, JSON.stringify(order)], {
    stdout: "ignore",
    stderr: "inherit",
    env: { ...process.env },
  });
}

if (import.meta.main) {
  const { strategy: name, ...order } = JSON.parse(process.argv[2] ?? "{}") as ChildOrder;
  const { strategy, file } = strategies[name];
  await Runner.live(strategy, {
    ...order,
    threads: 2,
    module: new URL(file, import.meta.url).href,
    pace: { checkpointMs: 20, partitionBytesMax: 4_096, fetchBytesMax: 65_536 },
  });
}
