import { afterEach, expect, test } from "bun:test";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { StreamInput } from "../../../../../nodes/stream-input.ts";
import { buildGraph } from "../../../../../runtime/graph/graph.ts";
import { type Transport } from "../../../../../runtime/index.ts";
import { DeadLetters } from "../../../../../runtime/worker/live/output/dead-letters.ts";
import { readPartition } from "../../../../connectors/kafka/records.ts";

const streams = ["one", "two"].map(
  (topic) =>
    new StreamInput({ topic, symbols: "*", interval: "1m", period: 1, schema: { close: "f64" } }),
);
const graph = buildGraph(streams.map(({ declaration }) => declaration));
const [one, two] = graph.nodes;
const topicOf = ({ definitionId }: { readonly definitionId: string }): string =>
  `qmtl.dlq.${definitionId}`;
const signal = AbortSignal.timeout(30_000);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A letter as anyone reads it. */
function parse(text: string): Readonly<Record<string, unknown>> {
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}

const opened: Transport[] = [];
afterEach(async () => {
  for (const transport of opened.splice(0)) await transport.close();
});

async function open(): Promise<Transport> {
  const transport = await openTransport("memory:", signal);
  opened.push(transport);
  return transport;
}

test("a letter is JSON with partition, offset, reason and the value in base64, under its key", async () => {
  const transport = await open();
  const letters = new DeadLetters(transport, graph);
  const place = { partition: 3, offset: 2 ** 40 };
  letters.add(one!, { ...place, reason: "invalid_json", key: bytes("A"), value: bytes("{x") });
  letters.add(two!, { ...place, reason: "keys_max", key: bytes("B"), value: undefined });
  letters.add(one!, { ...place, reason: "key_missing", key: undefined, value: bytes("") });
  await letters.flush(signal);
  const first = await readPartition(transport, topicOf(one!), { partition: 0, count: 2 });
  expect(first.map(({ key, value }) => [key, parse(value)])).toEqual([
    ["A", { ...place, reason: "invalid_json", value: btoa("{x") }],
    [null, { ...place, reason: "key_missing", value: "" }],
  ]);
  const second = await readPartition(transport, topicOf(two!), { partition: 0, count: 1 });
  expect(second.map(({ key, value }) => [key, parse(value)])).toEqual([
    ["B", { ...place, reason: "keys_max", value: null }],
  ]);
});

test("letters of more than a batch, and a value larger than one, all arrive in order", async () => {
  const transport = await open();
  const letters = new DeadLetters(transport, graph);
  const value = new Uint8Array(3_000).fill(7);
  const add = (offset: number, own: Uint8Array): void =>
    letters.add(one!, { partition: 0, offset, reason: "empty", key: bytes("A"), value: own });
  for (let offset = 0; offset < 1_000; offset += 1) add(offset, value);
  add(1_000, new Uint8Array(900_000));
  add(1_001, value);
  await letters.flush(signal);
  const found = await readPartition(transport, topicOf(one!), { partition: 0, count: 1_002 });
  const parsed = found.map(({ value: text }) => parse(text));
  expect(parsed.map((letter) => letter["offset"])).toEqual(
    Array.from({ length: 1_002 }, (_, i) => i),
  );
  expect(parsed[1_000]).toMatchObject({ value: null, valueBytes: 900_000 });
  expect(parsed[1_001]!["value"]).toBe(Buffer.from(value).toString("base64"));
  expect(letters.dropped).toBe(0);
});

test("what is held is bounded; beyond it letters are counted", async () => {
  const letters = new DeadLetters(await open(), graph);
  const value = new Uint8Array(1 << 20);
  for (let offset = 0; offset < 70; offset += 1) {
    letters.add(one!, { partition: 0, offset, reason: "empty", key: undefined, value });
  }
  expect(letters.dropped).toBe(70 - 63);
});

test("flush() with nothing to send asks nothing of the transport", async () => {
  const transport = await open();
  await new DeadLetters(transport, graph).flush(signal);
  const [answer] = await Promise.allSettled([transport.partitionsOf(topicOf(one!), signal)]);
  expect(answer.status).toBe("rejected");
});
