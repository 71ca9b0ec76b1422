/** The work as a plain consumer loop with kafkajs and msgpackr. */
import { Kafka, logLevel, type Message } from "kafkajs";
import { Unpackr } from "msgpackr";
import { PlainWork, work } from "./plain-work.ts";

const unpackr = new Unpackr({ int64AsType: "number" });
const kafka = new Kafka({ brokers: [work.broker], logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: `kafkajs-${process.pid}-${Date.now()}` });
const producer = kafka.producer();
const plain = new PlainWork();
const done = Promise.withResolvers<undefined>();

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topic: work.topic, fromBeginning: true });
plain.start();
await consumer.run({
  eachBatch: async ({ batch }) => {
    const messages: Message[] = [];
    for (const { key, value } of batch.messages) {
      if (key === null || value === null) continue;
      const signal = plain.take(key.toString(), unpackr.unpack(value) as number[]);
      if (signal !== undefined) messages.push({ key, value: signal });
    }
    if (messages.length > 0) await producer.send({ topic: work.out, messages });
    if (plain.isDone) done.resolve(undefined);
  },
});
await done.promise;
plain.report();
await consumer.disconnect();
await producer.disconnect();
