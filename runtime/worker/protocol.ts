import { type MessagePort } from "node:worker_threads";
import { type ColumnBatch } from "../contract/columns.ts";
import { type ConnectorRef } from "../contract/connector.ts";
import { type TimeRange } from "../contract/history-store.ts";
import { type ErrorData } from "../core/errors.ts";
import { type Component } from "../graph/components.ts";
import { type StrategyFlags, type StrategyRef } from "../graph/strategy.ts";
import { type LiveOrder } from "./live/live-order.ts";
import { type LiveResult } from "./live/loop/live-loop.ts";
import { type NodeTally } from "./replay/output-tally.ts";
import { type StreamCounts } from "./task/stream-loop.ts";

/** Outputs of one node and key, in time order. */
export interface NodeRows {
  readonly node: number;
  readonly key: string;
  readonly rows: ColumnBatch;
}

/** What a task has counted. */
export interface TaskCounts {
  readonly streams: readonly { readonly node: number; readonly counts: StreamCounts }[];
  readonly nodes: readonly {
    readonly node: number;
    readonly emitted: number;
    readonly refused: number;
  }[];
  readonly tallies: readonly NodeTally[];
}

/** What a thread needs to replay its tasks: it imports and opens everything itself. */
export interface ReplayOrder {
  readonly strategy: StrategyRef;
  readonly flags: StrategyFlags;
  /** IDs of the main thread's graph, to compare. */
  readonly ids: readonly string[];
  readonly history: ConnectorRef;
  readonly isSimulated: boolean;
  /** How long a history store that is down is waited for, ms; undefined: until it is up. */
  readonly outageMsMax: number | undefined;
  readonly components: readonly Component[];
  /** Range of each root, in the order of the components' roots. */
  readonly ranges: readonly TimeRange[];
  readonly isPoisoning: boolean;
  /** Where the state of this share is kept, if anywhere. */
  readonly state: ConnectorRef | undefined;
  /** Name of the share's task: `deployment/0/task`. */
  readonly task: string;
  /** Where nodes' times go, this share's own; without, nothing is timed. */
  readonly profile?: SharedArrayBuffer;
}

/** Coordinator to a live thread. Readers `switch` on `kind` without a `default`. */
export type Order =
  | {
      readonly kind: "live";
      readonly order: LiveOrder;
      /** Way to the state that the coordinator keeps, if the order names no store. */
      readonly state: MessagePort;
    }
  | { readonly kind: "stop" };

/** A live thread to its coordinator. Plain data only: `structuredClone` is the whole wire format. */
export type Report =
  | { readonly kind: "ended"; readonly result: LiveResult }
  | { readonly kind: "failed"; readonly error: ErrorData };
