import { afterEach, expect, test } from "bun:test";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { QmtlError, type Transport } from "../../../../../runtime/index.ts";
import {
  BatchSender,
  batchesInFlightMax,
} from "../../../../../runtime/worker/live/output/batch-sender.ts";
import { HeldSends } from "../held-sends.ts";

const signal = AbortSignal.timeout(30_000);
const key = new TextEncoder().encode("K");
const open: Transport[] = [];

afterEach(async () => {
  for (const transport of open.splice(0)) await transport.close();
});

/** A sender to a topic in memory, whose sends the test lets go. */
async function senderOf() {
  const transport = await openTransport("memory:", signal);
  open.push(transport);
  await transport.ensureTopic({ name: "out", partitions: 1 }, signal);
  const held = new HeldSends(transport);
  const target = { topic: "out", partition: 0, batchBytesMax: 16_384 };
  const sender = new BatchSender(target, held.transport, { producerId: 77, epoch: 3 });
  /** Writes records whose values are the bytes `from` to `to`. */
  const write = (from: number, to: number): void => {
    for (let i = from; i < to; i += 1) {
      const at = sender.reserve(0, key, 1, signal);
      sender.view.setUint8(at, i);
    }
  };
  const written = async () => {
    const [ends] = await transport.endsOf("out", [0], signal);
    return ends!.end;
  };
  return { held, sender, write, written };
}

/** True if `promise` has not settled when all that is due has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  await Bun.sleep(0);
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
}

test("batches carry their producer's name and rising sequences", async () => {
  const { held, sender, write } = await senderOf();
  for (const [from, to] of [
    [0, 5],
    [5, 6],
    [6, 9],
  ] as const) {
    write(from, to);
    sender.seal(signal);
  }
  const stamps = held.batches.map((batch) => {
    const view = new DataView(batch.buffer);
    return [Number(view.getBigInt64(43)), view.getInt16(51), view.getInt32(53)];
  });
  expect(stamps).toEqual([
    [77, 3, 0],
    [77, 3, 5],
    [77, 3, 6],
  ]);
  held.release(3);
  await sender.idle();
  expect(sender.sent).toBe(9);
});

test("room() waits while as many batches as allowed are on their way", async () => {
  const { held, sender, write } = await senderOf();
  for (let i = 0; i < batchesInFlightMax; i += 1) {
    expect(await isPending(sender.room())).toBe(false);
    write(i, i + 1);
    sender.seal(signal);
  }
  const room = sender.room();
  const idle = sender.idle();
  expect(await isPending(room)).toBe(true);
  held.release();
  await room;
  expect(sender.ackedEnd).toBe(1);
  expect(await isPending(idle)).toBe(true);
  held.release(batchesInFlightMax);
  await idle;
  expect(sender.ackedEnd).toBe(batchesInFlightMax);
});

test("a failed batch is what room(), idle() and barrier() throw, and nothing is sent after it (B2)", async () => {
  const { held, sender, write, written } = await senderOf();
  write(0, 2);
  sender.seal(signal);
  const failure = new QmtlError("TRANSPORT_UNAVAILABLE", "Cannot produce: on purpose");
  held.fail(failure);
  expect(await sender.idle().catch((error: unknown) => error)).toBe(failure);
  write(2, 4);
  sender.seal(signal);
  expect(held.batches).toHaveLength(1);
  expect(await sender.room().catch((error: unknown) => error)).toBe(failure);
  expect(await sender.barrier().catch((error: unknown) => error)).toBe(failure);
  expect(await written()).toBe(0);
});

test("a batch that is refused while a wait is under way ends the wait", async () => {
  const { held, sender, write } = await senderOf();
  write(0, 1);
  sender.seal(signal);
  const idle = sender.idle().catch((error: unknown) => error);
  expect(await isPending(idle)).toBe(true);
  held.fail(new QmtlError("MESSAGE_TOO_LARGE", "Cannot produce: on purpose"));
  expect(await idle).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
});

test("barrier() is the end after what was sealed by then, not after what came later", async () => {
  const { held, sender, write } = await senderOf();
  sender.beginAt(0);
  write(0, 3);
  sender.seal(signal);
  const barrier = sender.barrier();
  write(3, 8);
  sender.seal(signal);
  expect(await isPending(barrier)).toBe(true);
  held.release();
  expect(await barrier).toBe(3);
  held.release();
  expect(await sender.barrier()).toBe(8);
});
