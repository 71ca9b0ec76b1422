/** How a topic is made. */
export interface TopicSpec {
  readonly name: string;
  /** Fixed at creation; another count is refused. */
  readonly partitions: number;
  readonly replication?: number;
  /** ms; -1 keeps everything, which historic record times need (default -1). */
  readonly retentionMs?: number;
  readonly minInsyncReplicas?: number;
}

/** First and next offset of a partition. */
export interface PartitionEnds {
  /** Oldest offset that can be fetched. */
  readonly start: number;
  /** Offset the next record will get. */
  readonly end: number;
}

/** Where to read from. */
export interface FetchPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Limits of one fetch. */
export interface FetchLimits {
  /** Longest wait for the first byte, ms. */
  readonly waitMsMax: number;
  /** Bytes per partition. A first batch larger than this is still returned whole. */
  readonly partitionBytesMax: number;
  /** Bytes of the whole answer. */
  readonly bytesMax: number;
}

/**
 * Bytes of one partition as they lie on the wire: record batches v2, whole ones. The first may
 * begin before the offset that was asked for: skip records below it.
 */
export interface FetchedBytes {
  readonly topic: string;
  readonly partition: number;
  /** Offset of the first record of the first batch. */
  readonly baseOffset: number;
  /** Offset after the last batch: the next position to fetch, known before the bytes are read. */
  readonly nextOffset: number;
  /** Offset after the last record that a read-committed reader may see. */
  readonly stableEnd: number;
  /** Transactions to leave out as a read-committed reader; absent if there are none. */
  readonly abortedTransactions?: readonly {
    readonly producerId: number;
    /** From here on, up to its abort marker, the producer's records were never committed. */
    readonly firstOffset: number;
  }[];
  /**
   * Valid until the second `fetch` after the one that gave it is called: a reader may have the
   * next bytes fetched while it reads these. Copy what you keep longer.
   */
  readonly bytes: Uint8Array;
}

/** Who an idempotent producer is: goes into the header of its batches. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly epoch: number;
}

/**
 * A partitioned, ordered, offset-addressed log.
 *
 *   T1  Offsets of a partition rise by one per record; a record keeps its offset.
 *   T2  `produce` resolves once every in-sync replica has the batch; then `fetch` sees it.
 *   T3  `fetch` returns bytes in offset order and never part of a record batch.
 *   T4  Nothing is shared with other transports except through the server.
 */
export interface Transport {
  /**
   * Makes the topic if it is not there. Idempotent.
   *
   * @throws QmtlError TOPIC_PARTITIONS_MISMATCH if it exists with another partition count.
   */
  ensureTopic(spec: TopicSpec, signal: AbortSignal): Promise<void>;

  /** Partition count. @throws QmtlError TOPIC_UNKNOWN. */
  partitionsOf(topic: string, signal: AbortSignal): Promise<number>;

  /** Ends of each of `partitions`, in their order. @throws QmtlError TOPIC_UNKNOWN. */
  endsOf(
    topic: string,
    partitions: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly PartitionEnds[]>;

  /** First offset whose record time is >= `timeMs`, or the end. @throws QmtlError TOPIC_UNKNOWN. */
  offsetAt(topic: string, partition: number, timeMs: number, signal: AbortSignal): Promise<number>;

  /**
   * Appends one encoded record batch. The bytes are the caller's again when the promise settles.
   * Batches of one partition are appended in the order of the calls.
   *
   * @returns the offset of its first record; -1 if a batch that names its producer was there
   *   before and the server no longer says where.
   * @throws QmtlError MESSAGE_TOO_LARGE, TOPIC_UNKNOWN (never), TRANSPORT_UNAVAILABLE (reconnect;
   *   outcome unknown), TRANSPORT_REJECTED (never; details: reason, for example
   *   UNKNOWN_PRODUCER_ID or OUT_OF_ORDER_SEQUENCE_NUMBER when the server lost the sequence).
   */
  produce(
    topic: string,
    partition: number,
    batch: Uint8Array,
    signal: AbortSignal,
  ): Promise<number>;

  /**
   * What is there at `positions`; partitions with nothing new are left out. Calls never overlap.
   *
   * @throws QmtlError OFFSET_OUT_OF_RANGE (details: topic, partition, offset, start, end),
   *   TOPIC_UNKNOWN (never), TRANSPORT_UNAVAILABLE (reconnect).
   */
  fetch(
    positions: readonly FetchPosition[],
    limits: FetchLimits,
    signal: AbortSignal,
  ): Promise<readonly FetchedBytes[]>;

  /**
   * A new identity for idempotent batches; absent if the transport has no lost replies.
   *
   * @throws QmtlError TRANSPORT_UNAVAILABLE (reconnect).
   */
  initProducer?(signal: AbortSignal): Promise<ProducerIdentity>;

  /** Ends waiting calls with TRANSPORT_CLOSED; safe to call twice, never throws. */
  close(): Promise<void>;
}

/** A connector's door: connects to the log that `url` names. */
export type OpenTransport = (url: string, signal: AbortSignal) => Promise<Transport>;
