import { Counter, Gauge, Registry } from "prom-client";
import { type GraphNode } from "../../../graph/graph.ts";
import { type BoardRow } from "../../../worker/live/board.ts";
import { type PartitionField, type ThreadMeter } from "../../../worker/live/meters.ts";
import { type NodeProfile } from "../../../worker/node-profile.ts";
import { type LiveHealth, type NamedCrash, type WatchedPartition } from "./health.ts";

/** What metrics are read from, when someone asks. */
export interface MetricSource {
  readonly deployment: string;
  readonly nodes: readonly GraphNode[];
  /** By thread. */
  readonly rows: readonly BoardRow[];
  readonly meters: readonly ThreadMeter[];
  readonly partitions: readonly WatchedPartition[];
  readonly health: LiveHealth;
  /** Crashes so far. */
  readonly crashes: readonly NamedCrash[];
  /** By thread; empty if the run is not profiled. */
  readonly profiles: readonly NodeProfile[];
}

/** One value with its labels. */
interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** A metric, and how its values are read. */
interface Metric {
  readonly kind: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (source: MetricSource) => readonly Sample[];
}

/**
 * The registry of one live run, its own: two runs in a process do not meet. Nothing is kept in it:
 * each scrape reads shared memory, and the threads know nothing of it.
 */
export function newLiveRegistry(source: MetricSource): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ deployment: source.deployment });
  for (const metric of liveMetrics) {
    const { name, help, labels, read } = metric;
    const settings = { name, help, labelNames: [...labels], registers: [] };
    const made =
      metric.kind === "counter"
        ? new Counter({
            ...settings,
            collect() {
              this.reset();
              for (const sample of read(source)) this.inc({ ...sample.labels }, sample.value);
            },
          })
        : new Gauge({
            ...settings,
            collect() {
              this.reset();
              for (const sample of read(source)) this.set({ ...sample.labels }, sample.value);
            },
          });
    registry.registerMetric(made);
  }
  return registry;
}

const partitionLabels = ["stream", "topic", "partition", "thread"] as const;
const nodeLabels = ["node", "definition"] as const;

/** All metrics of a live run; `docs/metrics.md` lists the same. */
export const liveMetrics: readonly Metric[] = [
  perPartition(
    "counter",
    "qmtl_records_total",
    "Records taken, whatever became of them",
    "records",
  ),
  perPartition("counter", "qmtl_fetched_bytes_total", "Bytes of record batches fetched", "bytes"),
  perPartition(
    "counter",
    "qmtl_slow_path_records_total",
    "Records whose value was not in the fixed layout and was decoded field by field",
    "slowPath",
  ),
  perPartition(
    "counter",
    "qmtl_dead_letter_records_total",
    "Records that are none: sent to the dead-letter topic",
    "deadLetters",
  ),
  perPartition(
    "counter",
    "qmtl_foreign_records_total",
    "Records of keys that the stream does not name: left alone",
    "foreign",
  ),
  perPartition(
    "counter",
    "qmtl_late_records_total",
    "Records older than the newest of their key",
    "late",
  ),
  perPartition(
    "counter",
    "qmtl_duplicate_records_total",
    "Records that were there before: the first wins",
    "duplicate",
  ),
  perPartition(
    "gauge",
    "qmtl_lag_records",
    "Records between the position and the end of the partition, as of the last answer with records",
    "lag",
  ),
  perPartition("gauge", "qmtl_position_offset", "Offset of the next record to take", "position"),
  {
    kind: "gauge",
    name: "qmtl_watermark_timestamp_seconds",
    help: "Newest close time taken, in s since the epoch; absent before the first record",
    labels: partitionLabels,
    read: (source) =>
      ofPartitions(source, ({ meter }) => known(meter.get("watermarkMs"), (ms) => ms / 1_000)),
  },
  {
    kind: "gauge",
    name: "qmtl_live_staleness_seconds",
    help: "Age of the newest close time taken; absent before the first record",
    labels: partitionLabels,
    read: (source) =>
      ofPartitions(source, ({ meter }) => known(meter.get("watermarkMs"), ageSeconds)),
  },
  {
    kind: "counter",
    name: "qmtl_checkpoints_total",
    help: "Checkpoints stored; absent before the first",
    labels: partitionLabels,
    read: (source) =>
      ofPartitions(source, ({ meter }) => known(meter.get("checkpoints"), (count) => count)),
  },
  {
    kind: "gauge",
    name: "qmtl_checkpoint_age_seconds",
    help: "Time since the last checkpoint was stored; absent before the first",
    labels: partitionLabels,
    read: (source) =>
      ofPartitions(source, ({ meter }) => known(meter.get("checkpointedMs"), ageSeconds)),
  },
  {
    kind: "gauge",
    name: "qmtl_checkpoint_duration_seconds",
    help: "Time the last checkpoint took, from its snapshot to the store's answer; absent before the first",
    labels: partitionLabels,
    read: (source) =>
      ofPartitions(source, ({ meter }) => known(meter.get("checkpointMs"), (ms) => ms / 1_000)),
  },
  {
    kind: "counter",
    name: "qmtl_thread_seconds_total",
    help: "Time of a thread by phase: fetch (waiting for records), decode (batches checked, unpacked and walked), compute (values read, nodes, encode), flush (sending)",
    labels: ["thread", "phase"],
    read: ({ rows }) =>
      rows.flatMap((row, thread) =>
        (["fetch", "decode", "compute", "flush"] as const).map((phase) => ({
          labels: { thread, phase },
          // What the board calls compute is all that is done with an answer.
          value: (row.get(`${phase}Ms`) - (phase === "compute" ? row.get("decodeMs") : 0)) / 1_000,
        })),
      ),
  },
  {
    kind: "gauge",
    name: "qmtl_thread_heartbeat_age_seconds",
    help: "Time since the thread last took a record or turned its loop",
    labels: ["thread"],
    read: ({ rows, health }) =>
      rows.map((_, thread) => ({ labels: { thread }, value: health.beatsAgeMs(thread) / 1_000 })),
  },
  {
    kind: "counter",
    name: "qmtl_thread_crashes_total",
    help: "Deaths of a thread before its time",
    labels: ["thread"],
    read: ({ rows, crashes }) =>
      rows.map((_, thread) => ({
        labels: { thread },
        value: crashes.filter((crash) => crash.thread === thread).length,
      })),
  },
  {
    kind: "counter",
    name: "qmtl_offset_resets_total",
    help: "Positions that were not in the topic any more and were moved as offsetReset says",
    labels: ["thread"],
    read: ({ rows }) =>
      rows.map((row, thread) => ({ labels: { thread }, value: row.get("offsetResets") })),
  },
  {
    kind: "counter",
    name: "qmtl_node_outputs_total",
    help: "Records a node has emitted, published or not",
    labels: nodeLabels,
    read: (source) =>
      ofNodes(source, ({ index }) =>
        source.meters.reduce((sum, { outputs }) => sum + (outputs[index] ?? 0), 0),
      ),
  },
  {
    kind: "counter",
    name: "qmtl_node_process_failure_total",
    help: "Crashes of a thread while the node ran",
    labels: nodeLabels,
    read: (source) =>
      ofNodes(source, ({ index }) => source.crashes.filter(({ node }) => node === index).length),
  },
  {
    kind: "gauge",
    name: "qmtl_node_quarantined_partitions",
    help: "Partitions in which the node crashed too often and emits nothing now",
    labels: nodeLabels,
    read: (source) =>
      ofNodes(
        source,
        ({ index }) => source.health.quarantined.filter(({ node }) => node === index).length,
      ),
  },
  {
    kind: "counter",
    name: "qmtl_node_quarantines_total",
    help: "Quarantines of the node that have begun",
    labels: nodeLabels,
    read: (source) =>
      ofNodes(
        source,
        ({ index }) =>
          source.crashes.filter(({ node, isQuarantined }) => isQuarantined && node === index)
            .length,
      ),
  },
  {
    kind: "counter",
    name: "qmtl_node_processed_total",
    help: "Calls of a node's function; in a profiled run only",
    labels: nodeLabels,
    read: (source) => ofProfiles(source, (profile, node) => profile.callsOf(node)),
  },
  {
    kind: "counter",
    name: "qmtl_node_process_duration_seconds_total",
    help: "Time spent in a node, estimated from the calls that were timed; in a profiled run only",
    labels: nodeLabels,
    read: (source) =>
      ofProfiles(source, (profile, node) => {
        const ms = profile.callsOf(node) * profile.msPerCallOf(node);
        return Number.isNaN(ms) ? 0 : ms / 1_000;
      }),
  },
  {
    kind: "gauge",
    name: "process_resident_memory_bytes",
    help: "Resident memory of the process, all threads together",
    labels: [],
    read: () => [{ labels: {}, value: process.memoryUsage.rss() }],
  },
  {
    kind: "counter",
    name: "process_cpu_seconds_total",
    help: "CPU time of the process, user and system, all threads together",
    labels: [],
    read: () => {
      const { user, system } = process.cpuUsage();
      return [{ labels: {}, value: (user + system) / 1_000_000 }];
    },
  },
];

function perPartition(
  kind: Metric["kind"],
  name: string,
  help: string,
  field: PartitionField,
): Metric {
  const read = (source: MetricSource): readonly Sample[] =>
    ofPartitions(source, ({ meter }) => meter.get(field));
  return { kind, name, help, labels: partitionLabels, read };
}

/** A sample for each partition that has a value. */
function ofPartitions(
  { partitions }: MetricSource,
  valueOf: (partition: WatchedPartition) => number | undefined,
): readonly Sample[] {
  return partitions.flatMap((own) => {
    const value = valueOf(own);
    if (value === undefined) return [];
    const { stream, topic, partition, thread } = own;
    return [{ labels: { stream, topic, partition, thread }, value }];
  });
}

/** A sample for each node that computes. */
function ofNodes({ nodes }: MetricSource, valueOf: (node: GraphNode) => number): readonly Sample[] {
  return nodes
    .filter(({ kind }) => kind !== "stream")
    .map((node) => ({
      labels: { node: node.name, definition: node.definitionId },
      value: valueOf(node),
    }));
}

function ofProfiles(
  source: MetricSource,
  valueOf: (profile: NodeProfile, node: number) => number,
): readonly Sample[] {
  const { profiles } = source;
  if (profiles.length === 0) return [];
  return ofNodes(source, ({ index }) =>
    profiles.reduce((sum, profile) => sum + valueOf(profile, index), 0),
  );
}

/** `map(value)`; undefined where nothing has been written yet. */
function known(value: number, map: (value: number) => number): number | undefined {
  return value === 0 ? undefined : map(value);
}

function ageSeconds(sinceMs: number): number {
  return (Date.now() - sinceMs) / 1_000;
}
