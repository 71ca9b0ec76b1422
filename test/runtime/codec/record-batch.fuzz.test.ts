import { expect, test } from "bun:test";
import { batchField, stampBatch } from "../../../runtime/codec/kafka/record-batch.ts";
import { RecordBatchReader } from "../../../runtime/codec/kafka/record-batch-reader.ts";
import { RecordBatchWriter } from "../../../runtime/codec/kafka/record-batch-writer.ts";
import { hasCode } from "../../../runtime/core/errors.ts";
import { Chance, fuzzCases, fuzzSeed, guardBytes, guarded } from "./chance.ts";
import { currentRecords, encodeTheirs, type PlainRecord, readTheirs } from "./kafka/independent.ts";

const compressions = ["none", "none", "gzip", "snappy", "lz4", "zstd"] as const;
const stamp = { producerId: 7, producerEpoch: 0, baseSequence: 0 };
const options = { decompressedBytesMax: 1 << 20 };

/** A sound batch, by our writer or by another client's. */
function soundBatch(chance: Chance): Uint8Array {
  const count = 1 + chance.below(chance.pick([2, 8, 40]));
  const start = chance.pick([0, 1, 1_700_000_000_000, 2 ** 52]);
  const spread = chance.pick([1, 100, 60_000, 2 ** 36]);
  const records = Array.from({ length: count }, (_, i) => ({
    timestampMs: start + (i === 0 ? 0 : chance.below(spread) * chance.pick([1, 1, -1])),
    key: chance.below(4) === 0 ? undefined : chance.bytes(chance.pick([0, 7, 8, 70, 200])),
    value: chance.bytes(chance.pick([0, 1, 60, 78, 300, 9_000])),
  }));
  const compression = chance.pick(compressions);
  if (chance.below(2) === 0) {
    const writer = new RecordBatchWriter(1 << 19);
    for (const { timestampMs, key, value } of records) {
      writer.append(timestampMs, key, chance.below(9) === 0 ? undefined : value);
      if (chance.below(9) === 0) writer.skipOffsets(chance.below(300));
    }
    return Uint8Array.from(writer.finish({ compression, producer: stamp }));
  }
  const messages = records.map(({ timestampMs, key, value }) => ({
    topic: "t",
    timestamp: BigInt(timestampMs),
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
    value: Buffer.from(value),
    ...(chance.below(3) === 0
      ? { headers: new Map([[Buffer.from("name"), Buffer.from(chance.bytes(chance.below(150)))]]) }
      : {}),
  }));
  return encodeTheirs(messages, compression);
}

/** Records, or the reason why there are none; ranges are checked against the region. */
function outcome(reader: RecordBatchReader, bytes: Uint8Array, filler: number): string {
  const all = guarded(bytes, filler);
  const found: PlainRecord[] = [];
  reader.open(all, guardBytes, guardBytes + bytes.length);
  try {
    while (reader.next()) {
      found.push(...currentRecords(reader));
      expectInside(reader, bytes.length);
    }
  } catch (error) {
    if (hasCode(error, "BATCH_CORRUPT", "CODEC_UNSUPPORTED")) {
      return `${error.code} ${String(error.details["reason"])} at ${reader.at}`;
    }
    throw error;
  }
  return JSON.stringify([reader.at, found]);
}

/** Every range lies in the region, or in the decompressed records. */
function expectInside(reader: RecordBatchReader, regionBytes: number): void {
  const isPlain = reader.compression === "none";
  const from = isPlain ? guardBytes : 0;
  const to = isPlain ? guardBytes + regionBytes : reader.bytes.length;
  const { keyAt, keyLength, valueAt, valueLength } = reader.records;
  for (let i = 0; i < reader.count; i += 1) {
    const isInside =
      keyAt[i]! >= from &&
      keyAt[i]! + Math.max(0, keyLength[i]!) <= valueAt[i]! &&
      valueAt[i]! + Math.max(0, valueLength[i]!) <= to;
    if (!isInside) throw new Error(`record ${i} is outside of its batch`);
  }
}

/** Makes length and CRC of a damaged batch right again, so that the walk itself is met. */
function repair(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= batchField.records) {
    new DataView(bytes.buffer).setInt32(batchField.length, bytes.length - batchField.leaderEpoch);
    bytes[batchField.magic] = 2;
    stampBatch(bytes, stamp);
  }
  return bytes;
}

/** A damaged batch: mostly in its records and repaired, else anywhere, as the wire might do it. */
function damagedBatch(chance: Chance, sound: readonly Uint8Array[]): Uint8Array {
  const isRepaired = chance.below(8) > 0;
  const from = isRepaired && chance.below(4) > 0 ? batchField.records : 0;
  const damaged = chance.damage(chance.pick(sound), from);
  return isRepaired ? repair(damaged) : damaged;
}

/** What was read of `bytes`, in the words of `outcome`, is what the other decoder reads. */
function expectSame(bytes: Uint8Array, read: string): void {
  if ((bytes[batchField.attributes + 1]! & 8) !== 0) return; // it does not know the broker's times
  const wanted = readTheirs(bytes);
  const [, found] = JSON.parse(read) as [number, PlainRecord[]];
  if (!Bun.deepEquals(found, wanted)) expect(found).toEqual(wanted);
}

// Goal: the walk equals another decoder on sound batches, and on any bytes it ends with records
// that decoder finds too, or with a named error; what lies around the region changes nothing.
// Method: sound batches of two encoders; damaged ones with length and CRC made right again.
test(`record batches: ${fuzzCases} sound, damaged and hostile ones (QMTL_SEED=${fuzzSeed})`, () => {
  const chance = new Chance(fuzzSeed);
  const reader = new RecordBatchReader(options);
  const sound = Array.from({ length: Math.max(300, fuzzCases / 100) }, () => soundBatch(chance));
  for (const batch of sound) {
    const read = outcome(reader, batch, 0);
    if (!read.startsWith("[")) expect(read).toBe("records");
    expectSame(batch, read);
  }
  const small = sound.filter((batch) => batch.length < 20_000);
  const counts = new Map<string, number>();
  for (let i = 0; i < fuzzCases; i += 1) {
    const bytes = damagedBatch(chance, small);
    const one = outcome(reader, bytes, 0);
    const other = outcome(reader, bytes, 0xff);
    if (one !== other) expect(`case ${i}: ${one}`).toBe(other);
    const kind = one.startsWith("[") ? "read" : one.replace(/ at .*/, "");
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    if (kind === "read") expectSame(bytes, one);
  }
  const met = ["read", "crc", "varint", "headers", "record_length", "compressed_data"].filter(
    (kind) => counts.has(kind) || counts.has(`BATCH_CORRUPT ${kind}`),
  );
  expect(met).toHaveLength(6);
}, 3_600_000);
