/** The work as a plain consumer loop with @platformatic/kafka and msgpackr. */
import { Consumer, type MessageToProduce, Producer } from "@platformatic/kafka";
import { Unpackr } from "msgpackr";
import { PlainWork, work } from "./plain-work.ts";

const unpackr = new Unpackr({ int64AsType: "number" });
const base = { clientId: "kline-window", bootstrapBrokers: [work.broker] };
const consumer = new Consumer({
  ...base,
  groupId: `platformatic-${process.pid}-${Date.now()}`,
  maxWaitTime: 500,
  autocommit: 1_000,
});
const producer = new Producer(base);
const plain = new PlainWork();
const done = Promise.withResolvers<undefined>();

let messages: MessageToProduce[] = [];
let sending: Promise<unknown> = Promise.resolve();
let isFlushDue = false;

/** Messages of a request: the client does not split a batch that is too large for the topic. */
const sendMax = 10_000;

/** Sends what came in one turn of the event loop, after what was sent before. */
function flush(): void {
  isFlushDue = false;
  if (messages.length === 0) return;
  const batch = messages;
  messages = [];
  sending = sendAfter(sending, batch);
}

async function sendAfter(before: Promise<unknown>, batch: typeof messages): Promise<void> {
  await before;
  for (let at = 0; at < batch.length; at += sendMax) {
    await producer.send({ messages: batch.slice(at, at + sendMax), acks: -1 });
  }
}

plain.start();
const stream = await consumer.consume({ topics: [work.topic], mode: "earliest" });
stream.on("error", done.reject);
stream.on("data", ({ key, value }) => {
  const signal = plain.take(key.toString(), unpackr.unpack(value) as number[]);
  if (signal !== undefined) {
    messages.push({ topic: work.out, key, value: signal });
    if (!isFlushDue) {
      isFlushDue = true;
      setImmediate(flush);
    }
  }
  if (plain.isDone) done.resolve(undefined);
});
await done.promise;
flush();
await sending;
plain.report();
await stream.close();
await consumer.close(true);
await producer.close();
