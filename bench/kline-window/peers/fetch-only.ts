/**
 * The limit of the work on this machine: the same bytes fetched over our transport and not looked
 * at; a record's share of them is taken from the offsets. No signals.
 */
import { openTransport } from "../../../connectors/kafka/index.ts";
import { work } from "./plain-work.ts";

const limits = { waitMsMax: 100, partitionBytesMax: 2 ** 20, bytesMax: 2 ** 23 };
const { signal } = new AbortController();
const transport = await openTransport(`kafka://${work.broker}`, signal);
const partitions = await transport.partitionsOf(work.topic, signal);
const positions = Array.from({ length: partitions }, (_, partition) => ({
  topic: work.topic,
  partition,
  offset: 0,
}));
const startMs = performance.now();
let firstMs = 0;
let records = 0;
let pending = transport.fetch(positions, limits, signal);
while (records < work.records) {
  const answers = await pending;
  if (records === 0) firstMs = performance.now();
  for (const { partition, nextOffset } of answers) {
    records += nextOffset - positions[partition]!.offset;
    positions[partition]!.offset = nextOffset;
  }
  pending = transport.fetch(positions, limits, signal);
  // The last one is ended by closing the transport.
  pending.catch(() => undefined);
}
const endMs = performance.now();
await transport.close();
const seconds = (from: number): string => ((endMs - from) / 1_000).toFixed(4);
console.log(
  `RESULT msgs=${records} signals=0 secs=${seconds(startMs)} secs_first=${seconds(firstMs)}`,
);
