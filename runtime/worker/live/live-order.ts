import { type Compression } from "../../codec/compression/compression.ts";
import { type ConnectorRef } from "../../contract/connector.ts";
import { type StrategyFlags, type StrategyRef } from "../../graph/strategy.ts";
import { type BoardMemory } from "./board.ts";
import { type MeterMemory } from "./meters.ts";

/** Limits and paces of a live run, by name. */
export interface LivePace {
  /** Longest wait of a fetch for its first byte, ms. */
  readonly fetchWaitMsMax: number;
  readonly partitionBytesMax: number;
  readonly fetchBytesMax: number;
  /** Bytes of an output batch before compression. */
  readonly batchBytesMax: number;
  /** Compression of output batches. */
  readonly compression: Compression;
  /** Outputs wait so long for others of their batch, ms; 0: they are sent when their turn is over. */
  readonly lingerMs: number;
  /** Time between two checkpoints, ms. */
  readonly checkpointMs: number;
  /** Bars of a key and input that a join holds while another input is behind. */
  readonly maxPendingBars: number;
}

/** What is measured of each record, in a latency run. */
export interface LatencyProbe {
  /** Field that holds the producer's clock. */
  readonly field: string;
  readonly unit: "ms" | "us";
  /** Records left out at the beginning, of all partitions of a thread together. */
  readonly skip: number;
}

/**
 * Where a partition without a position begins, and where it goes on if its position is not in the
 * topic any more: at the oldest record, after the newest, or at a time in ms. `fail` begins at the
 * oldest and ends with OFFSET_OUT_OF_RANGE in the second case.
 */
export type OffsetReset = "fail" | "earliest" | "latest" | number;

/** A node that crashed too often in one partition and does not run there, so that others go on. */
export interface Quarantine {
  readonly partition: number;
  /** Index of the node in the graph. */
  readonly node: number;
  /** When it is released, ms since epoch. */
  readonly untilMs: number;
}

/** What a thread needs to run its partitions live: it imports and opens everything itself. */
export interface LiveOrder {
  readonly strategy: StrategyRef;
  readonly flags: StrategyFlags;
  readonly ids: readonly string[];
  readonly deployment: string;
  /** Name of this run alone: threads that are started anew belong to the same one. */
  readonly run: string;
  readonly transport: ConnectorRef;
  /** Where state is kept; undefined: by the coordinator, while the run lasts. */
  readonly state: ConnectorRef | undefined;
  /** Input topic of each stream, by the stream's index in the graph. */
  readonly inputs: readonly { readonly stream: number; readonly topic: string }[];
  /** Output topic of each published node. */
  readonly outputs: readonly { readonly node: number; readonly topic: string }[];
  /** Partitions of this thread: the same of every input topic. */
  readonly partitions: readonly number[];
  readonly offsetReset: OffsetReset;
  readonly pace: LivePace;
  /** Ends when all threads together have taken so many records. */
  readonly recordsMax: number | undefined;
  readonly latency: LatencyProbe | undefined;
  /** Nodes that emit nothing for a time, nor does what reads from them. */
  readonly quarantined: readonly Quarantine[];
  readonly isPoisoning: boolean;
  readonly thread: number;
  readonly board: BoardMemory;
  /** Where the thread shows what it does; without, nobody looks. */
  readonly meters?: MeterMemory;
  /** Where nodes' times go, this thread's own; without, nothing is timed. */
  readonly profile?: SharedArrayBuffer;
}
