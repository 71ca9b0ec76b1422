import { CompressionTypes, type Kafka, type Message } from "kafkajs";

/** A record as kafkajs sees it. */
export interface PeerRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string;
}

/** All records of `topic` as the second reader sees them, by partition and offset. */
export async function readAll(
  kafka: Kafka,
  topic: string,
  count: number,
): Promise<readonly PeerRecord[]> {
  const consumer = kafka.consumer({ groupId: `reader-${crypto.randomUUID()}` });
  const records: PeerRecord[] = [];
  const done = Promise.withResolvers<undefined>();
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        records.push({
          partition,
          offset: Number(message.offset),
          key: message.key?.toString() ?? null,
          value: message.value?.toString() ?? "",
        });
        if (records.length >= count) done.resolve(undefined);
      },
    });
    await done.promise;
  } finally {
    await consumer.disconnect();
  }
  return records.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset);
}

/** Sends `messages` as one batch, compressed by gzip if asked for. */
export async function sendBatch(
  kafka: Kafka,
  topic: string,
  batch: { readonly messages: Message[]; readonly gzip?: boolean },
): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  try {
    await producer.send({
      topic,
      messages: batch.messages,
      ...(batch.gzip === true ? { compression: CompressionTypes.GZIP } : {}),
    });
  } finally {
    await producer.disconnect();
  }
}
