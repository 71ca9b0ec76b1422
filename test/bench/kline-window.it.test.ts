// Goal: the end-to-end benches go on working, and cannot be fast by leaving work out. Method: every
// program runs once on 10,000 bars; the signals are known from an implementation in Python.
import { describe, expect, test } from "bun:test";
import { fillTopic, paceTopic, partitionsDefault } from "../../bench/kline-window/generate.ts";
import {
  bunPeers,
  fetchOnly,
  figuresIn,
  foreignPeers,
  ours,
  type Program,
  runProgram,
} from "../../bench/kline-window/program.ts";
import { BarWalk, expectedSignals } from "../../bench/kline-window/workload.ts";
import { openTransport } from "../../connectors/kafka/index.ts";
import { type Transport } from "../../runtime/index.ts";
import { describeWithServers, uniqueName } from "../harness/servers.ts";

const records = 10_000;
const signals = 840;
const programMsMax = 60_000;

/** splitmix64 as it is published, in whole numbers. */
function splitmix64(seed: bigint): () => bigint {
  const mask = 2n ** 64n - 1n;
  let state = seed;
  return () => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return z ^ (z >> 31n);
  };
}

describe("the work of the kline-window bench", () => {
  test("BarWalk draws its numbers from splitmix64: symbol 5 opens where the published form says", () => {
    const next = splitmix64(20_240_607n + 5n * 1_000_003n);
    const below = (limit: bigint): number => Number((next() >> 11n) % limit);
    const open = 1_000 + below(1_000n);
    const close = open + (below(129n) - 64) / 64;
    const high = Math.max(open, close) + below(32n) / 64;
    const walk = new BarWalk();
    for (let i = 0; i <= 5; i += 1) walk.next();
    expect(walk.symbol).toBe(5);
    expect(walk.row.map(([value]) => value).slice(0, 4)).toEqual([
      open,
      high,
      Math.min(open, close) - below(32n) / 64,
      close,
    ]);
  });

  test("expectedSignals() counts what whole numbers of any size in Python count", () => {
    expect([10_000, 32_000, 256_000].map(expectedSignals)).toEqual([840, 3_792, 35_391]);
  });

  test("figuresIn() reads the last RESULT, or the line of a meter around it", () => {
    const text = "noise\nRESULT msgs=1 signals=0\nRESULT msgs=2 signals=1 secs=0.5\nbye\n";
    expect(figuresIn(text)?.get("msgs")).toBe(2);
    const meter = figuresIn("peer=go-franz msgs=7 signals=3 secs=1.5 rss_mb=14 cpu_s=0.07");
    expect(Object.fromEntries(meter ?? [])).toEqual({
      msgs: 7,
      signals: 3,
      secs: 1.5,
      rss_mb: 14,
      cpu_s: 0.07,
    });
    expect(figuresIn("nothing here")).toBeUndefined();
  });

  test("foreignPeers() are folders of PEERS_DIR, with environment of their own", () => {
    const names = { PEERS_DIR: "/peers", PEERS: "go-franz,kafka-streams:LOGGING=0:N=512000" };
    expect(foreignPeers(names)).toEqual([
      { name: "go-franz", command: ["/peers/go-franz/run.sh"], env: {} },
      {
        name: "kafka-streams:LOGGING=0:N=512000",
        command: ["/peers/kafka-streams/run.sh"],
        env: { LOGGING: "0", N: "512000" },
      },
    ]);
    expect(foreignPeers({ PEERS: "go-franz" })).toEqual([]);
  });
});

describeWithServers(["kafka"], "kline-window on a real broker", (started) => {
  const { signal } = new AbortController();

  /** Runs `use` with a transport, and the bars in a topic of their own. */
  async function withTopic(
    use: (transport: Transport, topic: string, broker: string) => Promise<void>,
  ): Promise<void> {
    const { kafka } = started();
    const transport = await openTransport(kafka.url, signal);
    try {
      const topic = uniqueName("bars");
      await fillTopic(transport, { topic, records }, signal);
      await use(transport, topic, kafka.addresses("plaintext")[0]!);
    } finally {
      await transport.close();
    }
  }

  async function recordsIn(transport: Transport, topic: string): Promise<number> {
    const ends = await transport.endsOf(topic, [0, 1, 2, 3, 4, 5, 6, 7], signal);
    return ends.reduce((sum, { end }) => sum + end, 0);
  }

  const programs: readonly Program[] = [
    ours("kline-window, 1 thread"),
    ours("kline-window, 2 threads", { threads: 2 }),
    ours("heavy-window, 2 threads", { threads: 2, isHeavy: true }),
    ...bunPeers,
  ];
  for (const program of programs) {
    test(
      `${program.name}: 840 signals of 10,000 bars, all of them in the output topic`,
      async () => {
        await withTopic(async (transport, topic, broker) => {
          const out = uniqueName("signals");
          await transport.ensureTopic({ name: out, partitions: partitionsDefault }, signal);
          const result = await runProgram(program, { broker, topic, out, records }, signal);
          expect(result).toMatchObject({ records, signals });
          expect(result.seconds).toBeGreaterThan(0);
          expect(result.cpuSeconds).toBeGreaterThan(0);
          expect(result.rssMb).toBeGreaterThan(0);
          expect(await recordsIn(transport, out)).toBe(signals);
        });
      },
      programMsMax,
    );
  }

  test(
    `${fetchOnly.name}: it counts every record and ends, though a fetch is under way`,
    async () => {
      await withTopic(async (_transport, topic, broker) => {
        const order = { broker, topic, out: "none", records };
        expect(await runProgram(fetchOnly, order, signal)).toMatchObject({ records, signals: 0 });
      });
    },
    programMsMax,
  );

  test(
    "paceTopic() sends the bars at its rate, and the strategy sees each within its latency",
    async () => {
      await withTopic(async (transport, _topic, broker) => {
        const [topic, out] = [uniqueName("paced"), uniqueName("signals")];
        for (const name of [topic, out]) {
          await transport.ensureTopic({ name, partitions: partitionsDefault }, signal);
        }
        const order = { broker, topic, out, records, skip: 2_500 };
        const beganMs = performance.now();
        const result = await runProgram(ours("kline-window"), order, signal, async () => {
          await paceTopic(transport, { topic, records, rate: 10_000 }, signal);
        });
        expect(performance.now() - beganMs).toBeGreaterThan(999);
        expect(result).toMatchObject({ records, signals });
        expect(result.p50).toBeGreaterThan(0);
        expect(result.p99).toBeGreaterThanOrEqual(result.p50);
      });
    },
    programMsMax,
  );
});
