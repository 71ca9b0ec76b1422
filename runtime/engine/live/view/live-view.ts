import { systemClock } from "../../../core/clock.ts";
import { type Log } from "../../../core/log.ts";
import { type Graph } from "../../../graph/graph.ts";
import { BoardRow } from "../../../worker/live/board.ts";
import { type LiveOrder } from "../../../worker/live/live-order.ts";
import { type MeterMemory, PartitionMeter, ThreadMeter } from "../../../worker/live/meters.ts";
import { NodeProfile } from "../../../worker/node-profile.ts";
import { LiveHealth, type NamedCrash, type WatchedPartition } from "./health.ts";
import { type LiveServer, serveLive } from "./http.ts";
import { type MetricSource } from "./metrics.ts";

/** Nothing heard for so long is a stall, beyond what a fetch may wait, ms. */
const silentMsMax = 10_000;

/** A live run as it is to be seen. */
export interface LiveViewOptions {
  readonly graph: Graph;
  /** One a thread. */
  readonly orders: readonly LiveOrder[];
  readonly meters: MeterMemory;
  /** A node that runs for so long without a record between is stalled, ms. */
  readonly stallMsMax: number;
  /** Port on the loopback address, 0 for a free one; undefined: nothing is served. */
  readonly metricsPort: number | undefined;
  readonly onListen: (url: string) => void;
  readonly log: Log;
}

interface LiveViewParts {
  readonly log: Log;
  readonly health: LiveHealth;
  readonly server: LiveServer | undefined;
  readonly crashes: NamedCrash[];
}

/**
 * What operators see of a live run: metrics, health and log lines, made from shared memory. It
 * opens with the run and closes with it.
 */
export class LiveView {
  readonly #log: Log;
  readonly #health: LiveHealth;
  readonly #server: LiveServer | undefined;
  readonly #crashes: NamedCrash[];
  readonly #nameOf: (node: number) => string;

  /** @throws QmtlError SERVER_START_FAILED if the port is taken. */
  static async open(options: LiveViewOptions): Promise<LiveView> {
    const { orders, metricsPort, onListen } = options;
    const log = options.log.child({ deployment: orders[0]?.deployment ?? "" });
    const watched = watchedOf(options);
    const health = healthOf(options, watched, log);
    const crashes: NamedCrash[] = [];
    let server: LiveServer | undefined;
    try {
      if (metricsPort !== undefined) {
        server = await serve(metricsPort, { ...watched, health, crashes });
      }
    } catch (error) {
      health.close();
      throw error;
    }
    log.info("live run started", {
      transport: orders[0]?.transport.url,
      state: orders[0]?.state?.url ?? null,
      threads: orders.length,
      partitions: watched.partitions.length,
      metrics: server?.url ?? null,
    });
    if (server !== undefined) onListen(server.url);
    return new LiveView(options.graph, { log, health, server, crashes });
  }

  private constructor(graph: Graph, { log, health, server, crashes }: LiveViewParts) {
    this.#nameOf = (node) => graph.nodes[node]?.name ?? "no node";
    this.#log = log;
    this.#health = health;
    this.#server = server;
    this.#crashes = crashes;
  }

  /** A thread has died; gives the crash with its node's name. */
  crashed(crash: Omit<NamedCrash, "name">): NamedCrash {
    const named = { ...crash, name: this.#nameOf(crash.node) };
    this.#crashes.push(named);
    this.#health.crashed(named);
    const { thread, partition, name: node, reason, untilMs } = named;
    this.#log.error("thread crashed", { thread, partition, node, reason });
    if (untilMs === undefined) return named;
    const until = new Date(untilMs).toISOString();
    this.#log.error("node quarantined", { node, partition, until });
    return named;
  }

  /** Nodes that are quarantined now, `name/partition`, and how many were released. */
  quarantines(): { readonly quarantined: readonly string[]; readonly released: number } {
    this.#health.look();
    const { quarantined, released } = this.#health;
    return {
      quarantined: quarantined.map(({ name, partition }) => `${name}/${partition}`),
      released,
    };
  }

  /** Ends the endpoint and the watch; `outcome` says what the run came to. */
  async close(outcome: Readonly<Record<string, unknown>>): Promise<void> {
    this.#health.look();
    this.#health.close();
    await this.#server?.close();
    this.#log.info("live run stopped", outcome);
  }
}

/** What is read to see the run. */
type Watched = Omit<MetricSource, "health" | "crashes">;

function watchedOf({ graph, orders, meters }: LiveViewOptions): Watched {
  return {
    deployment: orders[0]?.deployment ?? "",
    nodes: graph.nodes,
    rows: orders.map(({ board, thread }) => new BoardRow(board, thread)),
    meters: orders.map(({ thread }) => new ThreadMeter(meters, thread)),
    partitions: orders.flatMap((order) => partitionsOf(graph, order, meters)),
    profiles: orders.flatMap(({ profile }) =>
      profile === undefined ? [] : [new NodeProfile(profile)],
    ),
  };
}

function partitionsOf(
  graph: Graph,
  { inputs, partitions, thread }: LiveOrder,
  meters: MeterMemory,
): readonly WatchedPartition[] {
  return inputs.flatMap(({ stream, topic }, input) =>
    partitions.map((partition) => ({
      stream: graph.nodes[stream]?.name ?? "",
      topic,
      partition,
      thread,
      meter: new PartitionMeter(meters, input, partition),
    })),
  );
}

function healthOf(
  { graph, orders, stallMsMax }: LiveViewOptions,
  watched: Watched,
  log: Log,
): LiveHealth {
  const pace = orders[0]?.pace;
  return new LiveHealth({
    rows: watched.rows,
    meters: watched.meters,
    partitions: watched.partitions,
    nameOf: (node) => graph.nodes[node]?.name ?? "no node",
    joinOf: ({ join, input, slot }) => {
      const node = graph.nodes[join];
      const name = node?.inputs[input]?.name ?? "";
      return { join: node?.name ?? "", input: name, key: node?.keys[slot]?.key ?? "" };
    },
    stallMsMax,
    silentMsMax: silentMsMax + (pace?.fetchWaitMsMax ?? 0),
    // What the coordinator keeps can't be silent by itself.
    checkpointMs: orders[0]?.state === undefined ? undefined : pace?.checkpointMs,
    clock: systemClock,
    log,
  });
}

async function serve(port: number, source: MetricSource): Promise<LiveServer> {
  // Loaded where metrics are asked for: the library takes 30 ms.
  const { newLiveRegistry } = await import("./metrics.ts");
  const registry = newLiveRegistry(source);
  return serveLive(port, {
    metrics: async () => ({ text: await registry.metrics(), type: registry.contentType }),
    health: () => source.health.report(),
    unready: () => source.health.unready(),
  });
}
