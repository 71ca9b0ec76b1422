/**
 * Goal: what a live run publishes is what its input says, no record lost, doubled or moved.
 * Method: the input is read back from the broker by another project's decoder, the outputs are
 * computed from it by a plain loop, and compared record by record with the output topic.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { openTransport } from "../../connectors/kafka/index.ts";
import {
  type LiveOptions,
  type LiveReport,
  Runner,
  type StrategyClass,
} from "../../runtime/index.ts";
import { failureOf } from "../contract/failure-of.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { describeWithServers, uniqueName } from "../harness/servers.ts";
import { fixed, logBatch } from "../runtime/worker/live/log-bytes.ts";
import { barsOf, keyNames, LiveLog, meansOf, minute } from "./live-log.ts";
import { Joined, ListedMeans, Means, PublicMeans, SharedTopic } from "./live-strategies.ts";

setDefaultTimeout(60_000);

const directory = scratchDirectory();
const module = new URL("live-strategies.ts", import.meta.url).href;

describeWithServers(["kafka"], "live over Kafka", (started) => {
  /** An input topic of `partitions`, and how to run a strategy from it to topics of its own. */
  async function withLog(
    partitions: number,
    body: (log: LiveLog, input: string) => Promise<void>,
  ): Promise<void> {
    const transport = await openTransport(started().kafka.url, AbortSignal.timeout(30_000));
    const log = new LiveLog(transport, partitions);
    const input = uniqueName("input");
    await log.make(input);
    try {
      await body(log, input);
    } finally {
      await transport.close();
    }
  }

  const run = async (
    strategy: StrategyClass,
    symbols: readonly string[],
    options: Partial<LiveOptions> = {},
  ): Promise<LiveReport> =>
    await Runner.live(strategy, { transport: started().kafka.url, symbols, module, ...options });

  for (const threads of [1, 2]) {
    test(`${threads} threads publish what a plain loop computes, in each partition and in order`, async () => {
      await withLog(4, async (log, input) => {
        const bars = barsOf(keyNames(13), 400);
        await log.put(input, bars, 97);
        const output = uniqueName("means");
        const until = { records: bars.length };
        const report = await run(Means, [input, output], { threads, until });
        expect(report).toMatchObject({ threads, records: 5_200, outputs: 13 * 397, crashes: 0 });
        for (const [partition, own] of (await log.readAll(input)).entries()) {
          expect(await log.read(output, partition)).toEqual(meansOf(own));
        }
      });
    });
  }

  for (const compression of ["gzip", "snappy", "lz4", "zstd"] as const) {
    test(`outputs compressed by ${compression} are read by anyone`, async () => {
      await withLog(2, async (log, input) => {
        const bars = barsOf(keyNames(5), 60);
        await log.put(input, bars);
        const output = uniqueName("means");
        await run(Means, [input, output], {
          threads: 1,
          until: { records: bars.length },
          pace: { compression },
        });
        for (const [partition, own] of (await log.readAll(input)).entries()) {
          expect(await log.read(output, partition)).toEqual(meansOf(own));
        }
      });
    });
  }

  test("records of a foreign producer, poison among them, give what they say", async () => {
    await withLog(1, async (log, input) => {
      const producer = new Kafka({
        brokers: [`127.0.0.1:${started().kafka.port}`],
        logLevel: logLevel.NOTHING,
      }).producer();
      await producer.connect();
      const messages = Array.from({ length: 12 }, (_, i) => ({
        key: i === 7 ? null : "A",
        value: i === 4 ? "no record" : JSON.stringify({ ts: i * minute, close: i }),
      }));
      await producer.send({ topic: input, messages });
      await producer.disconnect();
      const output = uniqueName("means");
      const report = await run(Means, [input, output], { threads: 1, until: { records: 12 } });
      expect(report).toMatchObject({ records: 12, slowPath: 11, deadLetters: 2 });
      const closes = [0, 1, 2, 3, 5, 6, 8, 9, 10, 11];
      const bars = closes.map((value) => ({ key: "A", ts: value * minute, value }));
      expect(await log.read(output, 0)).toEqual(meansOf(bars));
    });
  });

  test("listed keys, and a topic of the definition's name", async () => {
    await withLog(2, async (log, input) => {
      const bars = barsOf(keyNames(6), 30);
      await log.put(input, bars);
      const until = { records: bars.length };
      const output = uniqueName("means");
      await run(ListedMeans, [input, output, "K2", "K5"], { threads: 2, until });
      for (const [partition, own] of (await log.readAll(input)).entries()) {
        const listed = own.filter(({ key }) => key === "K2" || key === "K5");
        expect(await log.read(output, partition)).toEqual(meansOf(listed));
      }
      const report = await run(PublicMeans, [input], { threads: 2, until });
      expect(report.outputs).toBe(6 * 27);
    });
  });

  test("offsetReset says where to begin", async () => {
    await withLog(1, async (log, input) => {
      await log.put(input, barsOf(["A"], 20));
      const output = uniqueName("means");
      const stop = new AbortController();
      const running = run(Means, [input, output], {
        threads: 1,
        offsetReset: "latest",
        signal: stop.signal,
      });
      // Whatever is put once the run reads is computed on; what was there before is not.
      for (let at = 20; (await log.count(output).catch(() => 0)) < 3; at += 1) {
        await log.put(input, barsOf(["A"], 1, at));
      }
      stop.abort();
      await running;
      expect((await log.read(output, 0))[0]!.ts).toBeGreaterThanOrEqual(23 * minute);
    });
  });

  test("what can't be run is refused by name", async () => {
    await withLog(1, async (_log, input) => {
      const out = uniqueName("refused");
      const codes = [
        [Joined, [input, out], "GRAPH_INVALID"],
        [SharedTopic, [input, out], "PUBLISH_TOPIC_SHARED"],
        [Means, [uniqueName("nowhere"), out], "TOPIC_UNKNOWN"],
      ] as const;
      for (const [strategy, symbols, code] of codes) {
        expect(await failureOf(run(strategy, symbols))).toMatchObject({ code });
      }
    });
  });

  test("a stop ends threads that wait for records within 5 s, with what they came to", async () => {
    await withLog(2, async (log, input) => {
      const bars = barsOf(keyNames(5), 50);
      await log.put(input, bars);
      const output = uniqueName("means");
      const stop = new AbortController();
      const running = run(Means, [input, output], { threads: 2, signal: stop.signal });
      while ((await log.count(output).catch(() => 0)) < 5 * 47) await Bun.sleep(10);
      const startedMs = performance.now();
      stop.abort();
      expect(await running).toMatchObject({ records: bars.length, outputs: 5 * 47, threads: 2 });
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    });
  });

  for (const state of [undefined, `sqlite:${join(directory, "sequence.db")}`]) {
    const given = state === undefined ? "without" : "with";
    // Another hand goes on under the run's own name, so the broker takes no further batch of it.
    test(`a run whose sequence is lost reads back and goes on under a new name, ${given} a state store`, async () => {
      await withLog(1, async (log, input) => {
        const keys = keyNames(5);
        const output = uniqueName("means");
        await log.put(input, barsOf(keys, 40));
        const stop = new AbortController();
        const crashes: string[] = [];
        const running = run(Means, [input, output], {
          threads: 1,
          ...(state === undefined ? {} : { state }),
          pace: { checkpointMs: 20 },
          signal: stop.signal,
          onCrash: ({ reason }) => crashes.push(reason),
        });
        await log.until(output, 5 * 37);
        const lost = await log.producerOf(output, 0);
        const stranger = { key: "stranger", value: fixed("f", [0, 0]) };
        const theirs = logBatch(
          Array.from({ length: 1_000 }, () => stranger),
          { producer: lost },
        );
        await log.transport.produce(output, 0, theirs, AbortSignal.timeout(10_000));
        await log.put(input, barsOf(keys, 40, 40));
        await log.until(output, 1_000 + 5 * 77);
        stop.abort();
        expect(await running).toMatchObject({ crashes: 1 });
        expect(crashes[0]).toContain("OUT_OF_ORDER_SEQUENCE_NUMBER");
        const ours = (await log.read(output, 0)).filter(({ key }) => key !== stranger.key);
        expect(ours).toEqual([...meansOf(await log.read(input, 0))]);
        expect((await log.producerOf(output, 0)).producerId).not.toBe(lost.producerId);
      });
    });
  }

  test("a run that is stopped and begun again with its state doubles and loses nothing", async () => {
    await withLog(2, async (log, input) => {
      const output = uniqueName("means");
      const state = `sqlite:${join(directory, "restarts.db")}`;
      const keys = keyNames(7);
      let put = 0;
      for (let round = 0; round < 3; round += 1) {
        await log.put(input, barsOf(keys, 40, put), 11);
        put += 40;
        await run(Means, [input, output], {
          threads: 2,
          state,
          deployment: "restarts",
          pace: { checkpointMs: 5 },
          until: { records: 7 * 40 },
        });
      }
      for (const [partition, own] of (await log.readAll(input)).entries()) {
        expect(await log.read(output, partition)).toEqual(meansOf(own));
      }
    });
  });
});
