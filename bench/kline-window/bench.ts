/**
 * The whole path on a real broker: bars fetched, decoded, windowed, z-score, signals produced.
 * Measures: our strategy as a user writes it, beside plain consumer loops, all in processes of
 * their own that alternate on one broker in one run; the signals of each run are counted in whole
 * numbers by the bench and compared with what the program says and with the output topic.
 * Does not measure: a broker on another machine. It shares the cores with who reads from it.
 *
 * Environment: N (2,000,000 records), ROUNDS (3; 5 for latency), PACE (5,000 a second) and
 * PACE_SECS (10) for latency, PEERS_DIR and PEERS for programs of other runtimes.
 */
import { openTransport } from "../../connectors/kafka/index.ts";
import { type KafkaCluster, startKafka, startRedis } from "../../runtime/cli/servers/index.ts";
import { type Transport } from "../../runtime/index.ts";
import { type Measured, medianOf, type Role, type Suite } from "../harness.ts";
import { fillTopic, paceTopic, partitionsDefault } from "./generate.ts";
import {
  bunPeers,
  fetchOnly,
  foreignPeers,
  ours,
  type Program,
  type RunResult,
  runProgram,
} from "./program.ts";
import { expectedSignals } from "./workload.ts";

/** Time for a program to be ready for a paced topic: joined, subscribed, warm enough to answer. */
const settleMs = 4_000;

/** A line of the table. */
interface Entry extends Program {
  readonly role: Role;
  /** Partitions of its topic (default 8). */
  readonly partitions?: number;
  /** False: it makes no signals. */
  readonly isSignalling?: boolean;
  /** Records of its runs, if not all of N: for what would take too long. */
  readonly records?: number;
}

/** Rate beside the peers, with and without checkpoints. */
export const klineWindow: Suite = {
  name: "kline-window",
  needsServers: true,
  async measure(_options, signal) {
    await using redis = await startRedis({ purpose: "work" });
    return await measureRates(
      [
        { ...ours("kline-window"), role: "ours" },
        ...peers(),
        { ...ours("kline-window, Redis checkpoints", { state: redis.url }), role: "ours" },
        { ...fetchOnly, role: "limit", isSignalling: false },
      ],
      signal,
    );
  },
};

/** What a second thread is worth to a light strategy: nothing, where the broker needs the core. */
export const klineWindowThreads: Suite = threadSuite("kline-window threads", false);

/** The same for more than 5 µs of compute a record. */
export const klineWindowHeavy: Suite = threadSuite("kline-window heavy", true);

/** One thread over more and more partitions. */
export const klineWindowPartitions: Suite = {
  name: "kline-window partitions",
  needsServers: true,
  async measure(_options, signal) {
    return await measureRates(
      [1, 2, 4, 8].map((partitions) => ({
        ...ours(`${partitions} partition${partitions > 1 ? "s" : ""}`),
        role: partitions === 1 ? ("baseline" as const) : ("ours" as const),
        partitions,
      })),
      signal,
    );
  },
};

/** Time from the producer's clock to the decision, at a pace that nobody finds hard. */
export const klineWindowLatency: Suite = {
  name: "kline-window latency",
  needsServers: true,
  async measure(_options, signal) {
    await using cluster = await startKafka({ purpose: "work" });
    return await withTransport(cluster, signal, async (transport) => {
      const entries: readonly Entry[] = [
        { ...ours("kline-window, latency"), role: "ours" },
        ...peers(),
      ];
      const found = await alternate(entries, count("ROUNDS", 5), async (entry, name) => {
        return await runPaced(cluster, transport, { entry, name }, signal);
      });
      return entries.map((entry, i) => latencyRow(entry, found[i]!));
    });
  },
};

/** The suites of this folder. */
export const klineWindowSuites: readonly Suite[] = [
  klineWindow,
  klineWindowThreads,
  klineWindowHeavy,
  klineWindowPartitions,
  klineWindowLatency,
];

/** One thread beside two. A heavy run takes a quarter of the records. */
function threadSuite(name: string, isHeavy: boolean): Suite {
  return {
    name,
    needsServers: true,
    async measure(_options, signal) {
      const records = isHeavy ? Math.ceil(recordsWanted() / 4) : recordsWanted();
      const kind = isHeavy ? "heavy" : "light";
      return await measureRates(
        [
          { ...ours(`${kind}, 1 thread`, { isHeavy }), role: "baseline", records },
          { ...ours(`${kind}, 2 threads`, { isHeavy, threads: 2 }), role: "ours", records },
        ],
        signal,
      );
    },
  };
}

function peers(): readonly Entry[] {
  return [...foreignPeers(), ...bunPeers].map((program) => ({
    ...program,
    role: "baseline",
    ...(program.env?.["N"] === undefined ? {} : { records: Number(program.env["N"]) }),
  }));
}

function recordsWanted(): number {
  return count("N", 2_000_000);
}

/** A whole number of the environment. @throws RangeError if it is none. */
function count(name: string, preset: number): number {
  const value = Number(process.env[name] ?? preset);
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`Cannot run with ${name}=${process.env[name]}: wanted an integer above 0`);
}

/** Alternates the entries on one broker, and gives a line for each. */
async function measureRates(
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<readonly Measured[]> {
  await using cluster = await startKafka({ purpose: "work" });
  return await withTransport(cluster, signal, async (transport) => {
    const bench = new RateBench(cluster, transport, signal);
    for (const entry of entries) await bench.prepare(entry);
    // The broker's first minute is slower than all others.
    await bench.run(entries[0]!, "warm-up");
    const found = await alternate(entries, count("ROUNDS", 3), async (entry, name) => {
      return await bench.run(entry, name);
    });
    return entries.map((entry, i) => rateRow(entry, found[i]!));
  });
}

/** Runs all entries in turn, round after round. */
async function alternate(
  entries: readonly Entry[],
  rounds: number,
  run: (entry: Entry, name: string) => Promise<RunResult>,
): Promise<readonly (readonly RunResult[])[]> {
  const found = entries.map(() => [] as RunResult[]);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [i, entry] of entries.entries()) {
      const result = await run(entry, `${i}-${round}`);
      found[i]!.push(result);
      process.stderr.write(`  round ${round}, ${entry.name}: ${lineOf(result)}\n`);
    }
  }
  return found;
}

/** Runs programs on topics that are made when they are first needed. */
class RateBench {
  readonly #cluster: KafkaCluster;
  readonly #transport: Transport;
  readonly #signal: AbortSignal;
  readonly #expected = new Map<string, number>();

  constructor(cluster: KafkaCluster, transport: Transport, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#transport = transport;
    this.#signal = signal;
  }

  /** Makes the entry's topic, if no other has. */
  async prepare(entry: Entry): Promise<void> {
    const { topic, records, partitions } = topicOf(entry);
    if (this.#expected.has(topic)) return;
    await fillTopic(this.#transport, { topic, records, partitions }, this.#signal);
    this.#expected.set(topic, expectedSignals(records));
  }

  /** @throws Error if the signals are not the expected ones. */
  async run(entry: Entry, name: string): Promise<RunResult> {
    const { topic, records, partitions } = topicOf(entry);
    const order = {
      broker: this.#cluster.addresses("plaintext")[0]!,
      topic,
      out: `signals-${name}`,
      records,
    };
    await this.#transport.ensureTopic({ name: order.out, partitions }, this.#signal);
    const result = await runProgram(entry, order, this.#signal);
    if (entry.isSignalling === false) return result;
    const sent = await recordsIn(this.#transport, order.out, partitions, this.#signal);
    const wanted = this.#expected.get(topic)!;
    if (result.records === records && result.signals === wanted && sent === wanted) return result;
    throw new Error(
      `Cannot trust "${entry.name}": ${result.signals} signals of ${result.records} records, ${sent} in the topic, wanted ${wanted} of ${records}`,
    );
  }
}

function topicOf({ records = recordsWanted(), partitions = partitionsDefault }: Entry) {
  return { topic: `kline-${records}-${partitions}`, records, partitions };
}

async function runPaced(
  cluster: KafkaCluster,
  transport: Transport,
  { entry, name }: { readonly entry: Entry; readonly name: string },
  signal: AbortSignal,
): Promise<RunResult> {
  const rate = count("PACE", 5_000);
  const records = rate * count("PACE_SECS", 10);
  const order = {
    broker: cluster.addresses("plaintext")[0]!,
    topic: `paced-${name}`,
    out: `paced-signals-${name}`,
    records,
    skip: Math.floor(records / 4),
  };
  const partitions = partitionsDefault;
  for (const topic of [order.topic, order.out]) {
    await transport.ensureTopic({ name: topic, partitions }, signal);
  }
  const result = await runProgram(entry, order, signal, async () => {
    await Bun.sleep(settleMs);
    await paceTopic(transport, { topic: order.topic, records, rate }, signal);
  });
  const wanted = expectedSignals(records);
  if (result.records === records && result.signals === wanted) return result;
  throw new Error(
    `Cannot trust "${entry.name}": ${result.signals} signals of ${result.records} records, wanted ${wanted} of ${records}`,
  );
}

// oxlint-disable-next-line eslint/max-params -- a transport, a place and a signal
async function recordsIn(
  transport: Transport,
  topic: string,
  partitions: number,
  signal: AbortSignal,
): Promise<number> {
  const all = Array.from({ length: partitions }, (_, p) => p);
  const ends = await transport.endsOf(topic, all, signal);
  return ends.reduce((sum, { end }) => sum + end, 0);
}

async function withTransport<T>(
  cluster: KafkaCluster,
  signal: AbortSignal,
  use: (transport: Transport) => Promise<T>,
): Promise<T> {
  const transport = await openTransport(cluster.url, signal);
  try {
    return await use(transport);
  } finally {
    await transport.close();
  }
}

function median(results: readonly RunResult[], figure: (result: RunResult) => number): number {
  return medianOf(results.map(figure));
}

function rateRow(entry: Entry, results: readonly RunResult[]): Measured {
  const cpu = median(results, (one) => (one.cpuSeconds * 1e6) / one.records);
  const signals = entry.isSignalling === false ? "no signals" : `${results[0]!.signals} signals OK`;
  return {
    name: entry.name,
    role: entry.role,
    nsPerRecord: median(results, (one) => (one.seconds * 1e9) / one.records),
    note: `${fromFirst(results)} from the first · ${cpu.toFixed(2)} CPU-s/M · ${peakMb(results)} MB · ${signals} · ${results.length} rounds`,
  };
}

/** Rate from the first record on; there is none if all came in one answer. */
function fromFirst(results: readonly RunResult[]): string {
  const rate = median(results, (one) => one.records / one.secondsFromFirst);
  return Number.isFinite(rate) ? `${(rate / 1e6).toFixed(2)} M/s` : "–";
}

function latencyRow(entry: Entry, results: readonly RunResult[]): Measured {
  const p50 = median(results, (one) => one.p50);
  const p99 = median(results, (one) => one.p99);
  return {
    name: entry.name,
    role: entry.role,
    nsPerRecord: p50 * 1e6,
    isLatency: true,
    note: `p50 ${p50.toFixed(2)} ms · p99 ${p99.toFixed(2)} ms · ${peakMb(results)} MB · signals OK · ${results.length} rounds at ${count("PACE", 5_000)}/s`,
  };
}

function peakMb(results: readonly RunResult[]): number {
  return Math.round(Math.max(...results.map(({ rssMb }) => rssMb)));
}

function lineOf(one: RunResult): string {
  const figures = Number.isNaN(one.p50)
    ? `${(one.records / one.seconds / 1e6).toFixed(3)} M/s, ${(one.records / one.secondsFromFirst / 1e6).toFixed(3)} from the first`
    : `p50 ${one.p50} ms, p99 ${one.p99} ms`;
  return `${figures}, ${one.cpuSeconds.toFixed(2)} CPU-s, ${one.rssMb.toFixed(0)} MB`;
}
