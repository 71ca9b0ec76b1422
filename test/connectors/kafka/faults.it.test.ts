import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { openTransport } from "../../../connectors/kafka/index.ts";
import { type KafkaTransport } from "../../../connectors/kafka/transport.ts";
import { freePort, type KafkaCluster, startKafka } from "../../../runtime/cli/servers/index.ts";
import { hasCode } from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { describeWithServers } from "../../harness/servers.ts";
import { TcpProxy } from "../../harness/tcp-proxy.ts";
import { batchOf, patient, readPartition, recordsIn } from "./records.ts";

setDefaultTimeout(180_000);

const isSoak = process.env["QMTL_SOAK"] === "1";
const signal = (): AbortSignal => AbortSignal.timeout(150_000);

interface Stage {
  readonly broker: KafkaCluster;
  readonly proxy: TcpProxy;
}

let stage: Promise<Stage> | undefined;

/** A broker of this file's own that clients reach through a proxy only. */
async function staged(): Promise<Stage> {
  stage ??= (async () => {
    const port = await freePort();
    const proxy = await TcpProxy.start(port);
    return { proxy, broker: await startKafka({ port, advertisedPort: proxy.port }) };
  })();
  return await stage;
}

interface Play extends Stage {
  readonly transport: KafkaTransport;
  readonly topic: string;
}

/** A transport that notices silence within 1 s, and a topic that it has already used. */
async function play(
  body: (on: Play) => Promise<void>,
  query = "stallMsMax=1000&connectMsMax=1000",
): Promise<void> {
  const { broker, proxy } = await staged();
  const transport = await openTransport(`kafka://127.0.0.1:${proxy.port}?${query}`, signal());
  const topic = `t${crypto.randomUUID()}`;
  await transport.ensureTopic({ name: topic, partitions: 1 }, signal());
  await transport.endsOf(topic, [0], signal());
  try {
    await body({ broker, proxy, transport, topic });
  } finally {
    await transport.close();
  }
}

async function endOf({ transport, topic }: Play): Promise<number | undefined> {
  return (await transport.endsOf(topic, [0], signal()))[0]?.end;
}

/**
 * Sends `count` idempotent batches one after the other and reads them at the same time, while
 * `trouble` goes on; each value must come once and in order.
 */
async function exactlyOnce(on: Play, count: number, trouble: () => Promise<void>): Promise<void> {
  const { transport, topic } = on;
  const producer = await transport.initProducer(signal());
  const wanted = Array.from({ length: count }, (_, n) => `${n}`);
  let isOver = false;
  const producing = (async () => {
    let n = 0;
    while (n < count) {
      // Goes on until the trouble is over, so that it never falls beside the work.
      const isLast = n === count - 1 && !isOver;
      if (isLast) await Bun.sleep(5);
      else {
        const batch = batchOf([`${n}`], { ...producer, baseSequence: n });
        expect(await transport.produce(topic, 0, batch, signal())).toBe(n);
        n += 1;
      }
    }
  })();
  const reading = readPartition(transport, topic, { partition: 0, count });
  await trouble();
  isOver = true;
  await producing;
  const read = await reading;
  expect(read.map(({ offset, value }) => `${offset} ${value}`)).toEqual(
    wanted.map((value) => `${value} ${value}`),
  );
}

afterEach(async () => {
  const { broker, proxy } = await staged();
  broker.thaw();
  proxy.heal();
});

afterAll(async () => {
  const { broker, proxy } = await staged();
  await proxy.close();
  await broker.close();
});

describeWithServers(["kafka"], "kafka: faults", () => {
  for (const replies of ["cut", "drop"] as const) {
    test(`a reply that is lost (${replies}): an idempotent batch is sent again and stored once`, async () => {
      await play(async (on) => {
        const { proxy, transport, topic } = on;
        const producer = await transport.initProducer(signal());
        const { lostReplyBytes, requestBytes } = proxy.counts;
        const batch = batchOf(["a", "b"], { ...producer, baseSequence: 0 });
        proxy.set({ replies });
        const producing = transport.produce(topic, 0, batch, signal());
        await proxy.until((counts) => counts.lostReplyBytes > lostReplyBytes);
        proxy.heal();
        expect(await producing).toBe(0);
        expect(proxy.counts.requestBytes - requestBytes).toBeGreaterThan(2 * batch.length);
        expect(await endOf(on)).toBe(2);
      });
    });
  }

  test("a reply that is lost: a plain batch is not sent again, its outcome is unknown", async () => {
    await play(async (on) => {
      const { proxy, transport, topic } = on;
      const { lostReplyBytes } = proxy.counts;
      proxy.set({ replies: "cut" });
      const failing = failureOf(transport.produce(topic, 0, batchOf(["a"]), signal()));
      await proxy.until((counts) => counts.lostReplyBytes > lostReplyBytes);
      proxy.heal();
      const failure = await failing;
      expect(failure).toMatchObject({ code: "TRANSPORT_UNAVAILABLE", details: { sent: true } });
      expect(await endOf(on)).toBe(1);
    });
  });

  test("a broker that nobody can reach: a plain batch waits, and is stored once", async () => {
    await play(async (on) => {
      const { proxy, transport, topic } = on;
      const { connections } = proxy.counts;
      proxy.set({ connections: "refuse" });
      proxy.reset();
      // Once this is trying to connect, the loss of the old connection is known.
      const ends = endOf(on);
      await proxy.until((counts) => counts.connections > connections);
      const producing = transport.produce(topic, 0, batchOf(["a"]), signal());
      await proxy.until((counts) => counts.connections > connections + 2);
      proxy.heal();
      expect(await producing).toBe(0);
      await ends;
      expect(await endOf(on)).toBe(1);
    });
  });

  for (const fault of ["hold", "silence", "halfOpen"] as const) {
    test(`silence without an end (${fault}) is noticed, and reading goes on`, async () => {
      await play(async (on) => {
        const { proxy, transport, topic } = on;
        await transport.produce(topic, 0, batchOf(["a"]), signal());
        const limits = { ...patient, waitMsMax: 200 };
        await transport.fetch([{ topic, partition: 0, offset: 0 }], limits, signal());
        const { connections } = proxy.counts;
        if (fault === "hold") proxy.set({ requests: "hold" });
        else if (fault === "silence") {
          proxy.set({ connections: "silence" });
          proxy.reset();
        } else proxy.halfOpen();
        // The fetch itself never waits longer than it was told to.
        const before = performance.now();
        const waiting = transport.fetch([{ topic, partition: 0, offset: 1 }], limits, signal());
        expect(await waiting).toEqual([]);
        expect(performance.now() - before).toBeLessThan(1_000);
        await proxy.until((counts) => counts.connections > connections);
        proxy.heal();
        const read = await readPartition(transport, topic, { partition: 0, count: 1 });
        expect(read.map(({ value }) => value)).toEqual(["a"]);
      });
    });
  }

  test("a fetch of a topic that is new to us ends in time without a broker too", async () => {
    await play(async ({ proxy, topic }) => {
      const other = await openTransport(`kafka://127.0.0.1:${proxy.port}`, signal());
      proxy.set({ connections: "silence" });
      proxy.reset();
      const limits = { ...patient, waitMsMax: 200 };
      const before = performance.now();
      const positions = [{ topic, partition: 0, offset: 0 }];
      expect(await other.fetch(positions, limits, signal())).toEqual([]);
      expect(performance.now() - before).toBeLessThan(2_000);
      await other.close();
    });
  });

  test("answers cut at any byte lose and double nothing", async () => {
    await play(async ({ proxy, transport, topic }) => {
      const count = 100;
      for (let n = 0; n < count; n += 10) {
        const values = Array.from({ length: 10 }, (_, i) => `${n + i} ${"x".repeat(500)}`);
        await transport.produce(topic, 0, batchOf(values), signal());
      }
      const limits = { waitMsMax: 500, partitionBytesMax: 12_000, bytesMax: 12_000 };
      const seen: number[] = [];
      let offset = 0;
      for (let round = 0; seen.length < count; round += 1) {
        // A new connection gets through its first answers and then 0 to 13,000 bytes more.
        if (round % 3 === 0) proxy.set({ replyBytesMax: 700 + ((round * 7_919) % 13_000) });
        else proxy.heal();
        if (round % 3 === 0) proxy.reset();
        const answer = await transport.fetch([{ topic, partition: 0, offset }], limits, signal());
        for (const fetched of answer) {
          for (const record of recordsIn(fetched)) {
            if (record.offset >= offset) seen.push(Number.parseInt(record.value, 10));
          }
          offset = fetched.nextOffset;
        }
      }
      expect(seen).toEqual(Array.from({ length: count }, (_, n) => n));
    });
  });

  test("kill -9 and a restart of the broker: each record once, in order", async () => {
    await play(async (on) => {
      await exactlyOnce(on, 50, async () => {
        await on.broker.kill9();
        await on.broker.restart();
      });
    });
  });

  test("a broker frozen for 3 s keeps its connections, with the defaults", async () => {
    await play(async (on) => {
      const { connections } = on.proxy.counts;
      await exactlyOnce(on, 50, async () => {
        on.broker.freeze();
        await Bun.sleep(3_000);
        on.broker.thaw();
      });
      // One for the fetch, which had not been made.
      expect(on.proxy.counts.connections - connections).toBeLessThanOrEqual(1);
    }, "");
  });

  test("a broker frozen for longer than stallMsMax: each record once, in order", async () => {
    await play(async (on) => {
      await exactlyOnce(on, 50, async () => {
        on.broker.freeze();
        await Bun.sleep(2_500);
        on.broker.thaw();
      });
    });
  });

  test("a pause of our own process is no silence of the broker", async () => {
    await play(async (on) => {
      const { proxy, transport, topic } = on;
      const limits = { ...patient, waitMsMax: 300 };
      const ask = async (): Promise<unknown> =>
        await transport.fetch([{ topic, partition: 0, offset: 0 }], limits, signal());
      await ask();
      const { connections } = proxy.counts;
      const asking = ask();
      Bun.sleepSync(1_300);
      await asking;
      await ask();
      expect(proxy.counts.connections).toBe(connections);
    }, "stallMsMax=500");
  });

  test("an outage beyond unavailableMsMax is told again and again, until it is over", async () => {
    await play(async (on) => {
      const { proxy, transport, topic } = on;
      proxy.set({ connections: "refuse" });
      proxy.reset();
      const producer = { producerId: 1, epoch: 0, baseSequence: 0 };
      const calls = [
        transport.produce(topic, 0, batchOf(["a"], producer), signal()),
        transport.endsOf(topic, [0], signal()),
        transport.initProducer(signal()),
        transport.ensureTopic({ name: topic, partitions: 1 }, signal()),
      ];
      for (const failure of await Promise.all(calls.map(failureOf))) {
        expect(failure).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
      }
      const limits = { ...patient, waitMsMax: 100 };
      let told = 0;
      while (told < 2) {
        try {
          const positions = [{ topic, partition: 0, offset: 0 }];
          expect(await transport.fetch(positions, limits, signal())).toEqual([]);
        } catch (error) {
          expect(hasCode(error, "TRANSPORT_UNAVAILABLE")).toBe(true);
          told += 1;
        }
      }
      proxy.heal();
      expect(await endOf(on)).toBe(0);
      expect(await transport.produce(topic, 0, batchOf(["a"]), signal())).toBe(0);
      const read = await readPartition(transport, topic, { partition: 0, count: 1 });
      expect(read.length).toBe(1);
    }, "unavailableMsMax=400&connectMsMax=300&stallMsMax=300");
  });

  test("close() and an abort end calls that wait for a lost broker, at once", async () => {
    await play(async ({ proxy, transport, topic }) => {
      proxy.set({ connections: "silence" });
      proxy.reset();
      const stop = new AbortController();
      const reason = new Error("enough");
      const callsWith = (on: AbortSignal): readonly Promise<unknown>[] => [
        transport.produce(topic, 0, batchOf(["a"]), on),
        transport.endsOf(topic, [0], on),
        transport.initProducer(on),
        transport.ensureTopic({ name: `${topic}x`, partitions: 1 }, on),
      ];
      const aborted = callsWith(stop.signal).map(failureOf);
      const closed = callsWith(signal()).map(failureOf);
      const before = performance.now();
      stop.abort(reason);
      for (const failure of await Promise.all(aborted)) expect(failure).toBe(reason);
      await transport.close();
      for (const failure of await Promise.all(closed)) {
        expect(hasCode(failure, "TRANSPORT_CLOSED")).toBe(true);
      }
      expect(performance.now() - before).toBeLessThan(500);
    });
  });

  test.if(isSoak)("kill -9 for 35 s, with the defaults: each record once, in order", async () => {
    await play(async (on) => {
      await exactlyOnce(on, 50, async () => {
        await on.broker.kill9();
        await Bun.sleep(35_000);
        await on.broker.restart();
      });
    }, "");
  });

  for (const seconds of [15, 40]) {
    test.if(isSoak)(`frozen for ${seconds} s, with the defaults: each record once`, async () => {
      await play(async (on) => {
        await exactlyOnce(on, 50, async () => {
          on.broker.freeze();
          await Bun.sleep(seconds * 1_000);
          on.broker.thaw();
        });
      }, "");
    });
  }
});
