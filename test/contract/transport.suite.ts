import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type FetchedBytes,
  type FetchLimits,
  type FetchPosition,
  hasCode,
  type Transport,
} from "../../runtime/index.ts";
import { failureOf } from "./failure-of.ts";
import { decodeBatches, encodeBatch, type FetchedRecord } from "./record-batch.ts";

/** One log, kept until `dispose`; whatever server is behind it stays hidden. */
export interface TransportSubject {
  /** Connects to the same log, as often as asked. */
  open(): Promise<Transport>;
  dispose(): Promise<void>;
}

/** What each transport brings; the rules below are the same for all of them. */
export interface TransportCase {
  readonly name: string;
  /** Random histories to try; fewer where a call takes long. */
  readonly histories: number;
  create(): Promise<TransportSubject>;
}

const timeoutMs = 60_000;
const t0 = Date.UTC(2024, 0, 1);
const signal = (): AbortSignal => AbortSignal.timeout(timeoutMs);
const newTopic = (): string => `qmtl.stream.${crypto.randomUUID()}`;

/** Long enough for any server to answer, short enough to see that there is nothing. */
const quick: FetchLimits = { waitMsMax: 300, partitionBytesMax: 1_048_576, bytesMax: 8_388_608 };
const patient: FetchLimits = { ...quick, waitMsMax: 30_000 };

/** A batch of records `from` to `to`, a minute apart; each value names its record. */
function batchOf(from: number, to: number, padding = ""): Uint8Array {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i);
  return encodeBatch(
    numbers.map((n) => ({ key: `key ${n % 3}`, value: `${n}${padding}`, timeMs: t0 + n * 60_000 })),
  );
}

/** All records from `position` on, fetched until there are `count`. */
async function take(
  transport: Transport,
  position: FetchPosition,
  count: number,
  limits = patient,
): Promise<readonly FetchedRecord[]> {
  const records: FetchedRecord[] = [];
  let { offset } = position;
  while (records.length < count) {
    const [fetched] = await transport.fetch([{ ...position, offset }], limits, signal());
    if (fetched === undefined) break;
    expect([fetched.topic, fetched.partition]).toEqual([position.topic, position.partition]);
    const decoded = decodeBatches(fetched.bytes);
    expect(fetched.baseOffset).toBe(decoded[0]!.offset);
    expect(fetched.baseOffset).toBeLessThanOrEqual(offset);
    expect(fetched.nextOffset).toBe(decoded.at(-1)!.offset + 1);
    const from = offset;
    records.push(...decoded.filter((record) => record.offset >= from));
    offset = decoded.at(-1)!.offset + 1;
    expect(fetched.stableEnd).toBeGreaterThanOrEqual(offset);
  }
  return records;
}

/** The contract of `runtime/contract/transport.ts`. */
export function runTransportSuite(subject: TransportCase): void {
  /** A test with one opener and a topic of its own with three partitions. */
  const check = (
    claim: string,
    body: (transport: Transport, topic: string, subject: TransportSubject) => Promise<void>,
  ): void => {
    const run = async (): Promise<void> => {
      const made = await subject.create();
      try {
        const transport = await made.open();
        const topic = newTopic();
        await transport.ensureTopic({ name: topic, partitions: 3 }, signal());
        await body(transport, topic, made);
        await transport.close();
      } finally {
        await made.dispose();
      }
    };
    test(`${subject.name}: ${claim}`, run, timeoutMs);
  };

  check(
    "ensureTopic() is idempotent and refuses another partition count",
    async (transport, topic) => {
      await transport.produce(topic, 1, batchOf(0, 2), signal());
      await transport.ensureTopic({ name: topic, partitions: 3, retentionMs: -1 }, signal());
      expect(await transport.partitionsOf(topic, signal())).toBe(3);
      for (const partitions of [2, 4]) {
        const failure = await failureOf(
          transport.ensureTopic({ name: topic, partitions }, signal()),
        );
        expect(hasCode(failure, "TOPIC_PARTITIONS_MISMATCH")).toBe(true);
      }
      expect(await transport.endsOf(topic, [2, 1], signal())).toEqual([
        { start: 0, end: 0 },
        { start: 0, end: 2 },
      ]);
    },
  );

  check("a topic or partition that is not there is TOPIC_UNKNOWN", async (transport, topic) => {
    const unknown = newTopic();
    const calls = [
      transport.partitionsOf(unknown, signal()),
      transport.endsOf(unknown, [0], signal()),
      transport.offsetAt(unknown, 0, 0, signal()),
      transport.produce(unknown, 0, batchOf(0, 1), signal()),
      transport.produce(topic, 3, batchOf(0, 1), signal()),
    ];
    for (const failure of await Promise.all(calls.map(failureOf))) {
      expect(hasCode(failure, "TOPIC_UNKNOWN")).toBe(true);
    }
    const fetching = transport.fetch(
      [{ topic: unknown, partition: 0, offset: 0 }],
      quick,
      signal(),
    );
    expect(hasCode(await failureOf(fetching), "TOPIC_UNKNOWN")).toBe(true);
  });

  check(
    "offsets rise by one per record, and a record keeps its own (T1, T2)",
    async (transport, topic, fresh) => {
      const offsets: number[] = [];
      for (const [from, to] of [
        [0, 3],
        [3, 4],
        [4, 9],
      ] as const) {
        offsets.push(await transport.produce(topic, 0, batchOf(from, to), signal()));
      }
      expect(offsets).toEqual([0, 3, 4]);
      expect(await transport.produce(topic, 2, batchOf(0, 1), signal())).toBe(0);
      const other = await fresh.open();
      for (const any of [transport, other]) {
        const records = await take(any, { topic, partition: 0, offset: 0 }, 9);
        expect(records.map(({ offset, value }) => [offset, value])).toEqual(
          Array.from({ length: 9 }, (_, i) => [i, `${i}`]),
        );
      }
      await other.close();
    },
  );

  check(
    "keys, values and times come back as they were, checksums right",
    async (transport, topic) => {
      const records = [
        { key: '币安,人生 ="{x}"\n', value: "v", timeMs: t0 },
        { key: null, value: "", timeMs: t0 + 5 },
        { key: "", value: "\u0000é", timeMs: t0 - 86_400_000 },
      ];
      await transport.produce(topic, 0, batchOf(0, 1), signal());
      const batch = encodeBatch(records);
      const before = batch.slice();
      await transport.produce(topic, 0, batch, signal());
      expect(batch).toEqual(before);
      const fetched = await take(transport, { topic, partition: 0, offset: 1 }, 3);
      expect(fetched).toEqual(records.map((record, i) => ({ ...record, offset: i + 1 })));
    },
  );

  check(
    "the produced bytes are the caller's again when produce() returns",
    async (transport, topic) => {
      const batch = batchOf(0, 2);
      await transport.produce(topic, 0, batch, signal());
      batch.fill(0);
      expect((await take(transport, { topic, partition: 0, offset: 0 }, 2)).length).toBe(2);
    },
  );

  check(
    "fetch() from inside a batch begins at or before the offset that was asked for",
    async (transport, topic) => {
      await transport.produce(topic, 0, batchOf(0, 10), signal());
      await transport.produce(topic, 0, batchOf(10, 20), signal());
      for (const offset of [0, 1, 9, 10, 15, 19]) {
        const records = await take(transport, { topic, partition: 0, offset }, 20 - offset);
        expect(records.map(({ value }) => Number(value))).toEqual(
          Array.from({ length: 20 - offset }, (_, i) => offset + i),
        );
      }
    },
  );

  check(
    "fetch() returns whole batches within its limits, the first whole beyond them (T3)",
    async (transport, topic) => {
      const padding = "x".repeat(10_000);
      for (let n = 0; n < 6; n += 1)
        await transport.produce(topic, 0, batchOf(n, n + 1, padding), signal());
      const oneBatch = batchOf(0, 1, padding).length;
      const position = { topic, partition: 0, offset: 2 };
      for (const limit of [1, oneBatch, 2 * oneBatch + 5, 100 * oneBatch]) {
        for (const limits of [
          { ...patient, partitionBytesMax: limit },
          { ...patient, bytesMax: limit },
        ]) {
          const [fetched] = await transport.fetch([position], limits, signal());
          expect(fetched!.bytes.length).toBeLessThanOrEqual(Math.max(limit, oneBatch));
          expect(decodeBatches(fetched!.bytes)[0]?.offset).toBe(2);
        }
        const records = await take(transport, position, 4, {
          ...patient,
          partitionBytesMax: limit,
        });
        expect(records.map(({ offset }) => offset)).toEqual([2, 3, 4, 5]);
      }
    },
  );

  check(
    "one fetch serves many partitions, and a full answer starves none",
    async (transport, topic) => {
      const padding = "x".repeat(1_000);
      const positions = [0, 1, 2].map((partition) => ({ topic, partition, offset: 0 }));
      for (const { partition } of positions) {
        for (let n = 0; n < 4; n += 1) {
          await transport.produce(topic, partition, batchOf(n, n + 1, padding), signal());
        }
      }
      const next = new Map(positions.map(({ partition }) => [partition, 0]));
      // Room for one batch an answer: all twelve must come through within a few rounds each.
      const limits = { ...patient, bytesMax: 1_200 };
      for (
        let round = 0;
        round < 100 && [...next.values()].some((offset) => offset < 4);
        round += 1
      ) {
        const asked = positions.map((position) => ({
          ...position,
          offset: next.get(position.partition)!,
        }));
        for (const { partition, bytes } of await transport.fetch(asked, limits, signal())) {
          const records = decodeBatches(bytes);
          expect(records[0]?.offset).toBe(next.get(partition));
          next.set(partition, records.at(-1)!.offset + 1);
        }
      }
      expect([...next.values()]).toEqual([4, 4, 4]);
    },
  );

  check(
    "bytes lie still until the second fetch after theirs, while the next is fetched",
    async (transport, topic) => {
      const batches = 12;
      for (let n = 0; n < batches; n += 1) {
        await transport.produce(topic, 0, batchOf(n, n + 1, "x".repeat(5_000)), signal());
      }
      const limits = { ...patient, partitionBytesMax: 1 };
      const ask = async (offset: number): Promise<FetchedBytes | undefined> =>
        (await transport.fetch([{ topic, partition: 0, offset }], limits, signal()))[0];
      let next = ask(0);
      for (let n = 0; n < batches; n += 1) {
        const fetched = await next;
        if (n + 1 < batches) {
          // The next answer has arrived before these bytes are read.
          next = Promise.resolve(await ask(fetched!.nextOffset));
        }
        expect(decodeBatches(fetched!.bytes)).toMatchObject([{ offset: n }]);
      }
    },
  );

  check(
    "batches of one partition are appended in the order of the calls",
    async (transport, topic) => {
      const calls = Array.from({ length: 20 }, async (_, n) => {
        return await transport.produce(topic, 0, batchOf(n, n + 1), signal());
      });
      expect(await Promise.all(calls)).toEqual(Array.from({ length: 20 }, (_, n) => n));
      const records = await take(transport, { topic, partition: 0, offset: 0 }, 20);
      expect(records.map(({ value }) => Number(value))).toEqual(
        Array.from({ length: 20 }, (_, n) => n),
      );
    },
  );

  check(
    "fetch() with nothing new waits, at most its limit, and leaves the partition out",
    async (transport, topic) => {
      await transport.produce(topic, 0, batchOf(0, 1), signal());
      const before = performance.now();
      const positions = [
        { topic, partition: 0, offset: 1 },
        { topic, partition: 1, offset: 0 },
      ];
      expect(await transport.fetch(positions, quick, signal())).toEqual([]);
      // Timers may be a little early.
      expect(performance.now() - before).toBeGreaterThan(quick.waitMsMax - 20);
      expect(await transport.fetch([], { ...quick, waitMsMax: 1 }, signal())).toEqual([]);
    },
  );

  check(
    "a waiting fetch wakes when something is produced for it",
    async (transport, topic, fresh) => {
      const other = await fresh.open();
      const positions = [
        { topic, partition: 0, offset: 0 },
        { topic, partition: 1, offset: 0 },
      ];
      const before = performance.now();
      const waiting = transport.fetch(positions, patient, signal());
      await other.produce(topic, 2, batchOf(0, 1), signal());
      await other.produce(topic, 1, batchOf(7, 8), signal());
      const fetched = await waiting;
      expect(fetched.map(({ partition }) => partition)).toEqual([1]);
      expect(decodeBatches(fetched[0]!.bytes)).toMatchObject([{ offset: 0, value: "7" }]);
      expect(performance.now() - before).toBeLessThan(patient.waitMsMax / 2);
      await other.close();
    },
  );

  check(
    "an offset before the start or behind the end is OFFSET_OUT_OF_RANGE, with the ends",
    async (transport, topic) => {
      await transport.produce(topic, 1, batchOf(0, 4), signal());
      for (const offset of [5, 1_000_000]) {
        const positions = [{ topic, partition: 1, offset }];
        const failure = await failureOf(transport.fetch(positions, quick, signal()));
        const details = { topic, partition: 1, offset, start: 0, end: 4 };
        expect(failure).toMatchObject({ code: "OFFSET_OUT_OF_RANGE", details });
      }
    },
  );

  check(
    "offsetAt() is the first record at or after a time, or the end",
    async (transport, topic) => {
      expect(await transport.offsetAt(topic, 0, t0, signal())).toBe(0);
      await transport.produce(topic, 0, batchOf(0, 10), signal());
      await transport.produce(topic, 0, batchOf(10, 20), signal());
      for (const [minutes, want] of [
        [-5, 0],
        [0, 0],
        [0.5, 1],
        [4, 4],
        [9, 9],
        [9.5, 10],
        [19, 19],
      ]) {
        const timeMs = t0 + minutes! * 60_000;
        expect(await transport.offsetAt(topic, 0, timeMs, signal())).toBe(want!);
      }
      expect(await transport.offsetAt(topic, 0, t0 + 19 * 60_000 + 1, signal())).toBe(20);
    },
  );

  check(
    "bytes that are no record batch are refused and move no offset",
    async (transport, topic) => {
      const good = batchOf(0, 2);
      const cut = good.subarray(0, good.length - 1);
      const oldFormat = good.with(16, 1);
      for (const bad of [new Uint8Array(0), new Uint8Array(10), cut, oldFormat]) {
        expect(await failureOf(transport.produce(topic, 0, bad, signal()))).toMatchObject({
          code: "TRANSPORT_REJECTED",
        });
      }
      expect(await transport.produce(topic, 0, good, signal())).toBe(0);
    },
  );

  check("an aborted call rejects with the signal's reason", async (transport, topic) => {
    const reason = new Error("enough");
    const aborted = callsOf(transport, topic, AbortSignal.abort(reason));
    for (const failure of await Promise.all(aborted.map(failureOf))) expect(failure).toBe(reason);
    expect(await transport.endsOf(topic, [0], signal())).toEqual([{ start: 0, end: 0 }]);
    const stop = new AbortController();
    const waiting = failureOf(
      transport.fetch([{ topic, partition: 0, offset: 0 }], patient, stop.signal),
    );
    setTimeout(() => stop.abort(reason), 20);
    expect(await waiting).toBe(reason);
  });

  check(
    "close() ends a waiting fetch and every later call with TRANSPORT_CLOSED",
    async (transport, topic, fresh) => {
      const other = await fresh.open();
      const waiting = failureOf(
        transport.fetch([{ topic, partition: 0, offset: 0 }], patient, signal()),
      );
      await transport.close();
      await transport.close();
      expect(hasCode(await waiting, "TRANSPORT_CLOSED")).toBe(true);
      const late = callsOf(transport, topic, signal()).map(failureOf);
      for (const failure of await Promise.all(late)) {
        expect(hasCode(failure, "TRANSPORT_CLOSED")).toBe(true);
      }
      expect(await other.partitionsOf(topic, signal())).toBe(3);
      await other.close();
    },
  );

  check("two logs share nothing but what their server shares (T4)", async (transport, topic) => {
    const elsewhere = await subject.create();
    const other = await elsewhere.open();
    const unshared = newTopic();
    await other.ensureTopic({ name: unshared, partitions: 1 }, signal());
    await other.produce(unshared, 0, batchOf(0, 1), signal());
    await other.close();
    await elsewhere.dispose();
    expect(await transport.endsOf(topic, [0, 1, 2], signal())).toEqual(
      Array.from({ length: 3 }, () => ({ start: 0, end: 0 })),
    );
  });

  // Goal: T1 and T3 for every history. Method: random batches and fetches against a list of values.
  check("random batches and fetches read back what was produced, in order", async (transport) => {
    const batch = fc.record({
      partition: fc.nat(1),
      records: fc.integer({ min: 1, max: 20 }),
      pad: fc.nat(300),
    });
    const limit = fc.integer({ min: 1, max: 3_000 });
    const property = fc.asyncProperty(
      fc.array(batch, { maxLength: 20 }),
      limit,
      async (batches, bytesMax) => {
        const topic = newTopic();
        await transport.ensureTopic({ name: topic, partitions: 2 }, signal());
        const counts = [0, 0];
        for (const { partition, records, pad } of batches) {
          const from = counts[partition]!;
          const bytes = batchOf(from, from + records, "x".repeat(pad));
          expect(await transport.produce(topic, partition, bytes, signal())).toBe(from);
          counts[partition] = from + records;
        }
        for (const [partition, count] of counts.entries()) {
          const position = { topic, partition, offset: Math.floor(count / 3) };
          const limits = { ...patient, partitionBytesMax: bytesMax, bytesMax };
          const records = await take(transport, position, count - position.offset, limits);
          expect(records.map(({ offset, value }) => [offset, Number.parseInt(value, 10)])).toEqual(
            Array.from({ length: count - position.offset }, (_, i) => [
              position.offset + i,
              position.offset + i,
            ]),
          );
        }
      },
    );
    await fc.assert(property, { numRuns: subject.histories });
  });
}

/** Each call of the port once. */
function callsOf(
  transport: Transport,
  topic: string,
  on: AbortSignal,
): readonly Promise<unknown>[] {
  return [
    transport.ensureTopic({ name: newTopic(), partitions: 1 }, on),
    transport.partitionsOf(topic, on),
    transport.endsOf(topic, [0], on),
    transport.offsetAt(topic, 0, t0, on),
    transport.produce(topic, 0, batchOf(0, 1), on),
    transport.fetch([{ topic, partition: 0, offset: 0 }], quick, on),
  ];
}
