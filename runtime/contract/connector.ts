import { type OpenHistoryStore } from "./history-store.ts";
import { type OpenStateStore } from "./state-store.ts";
import { type OpenTransport } from "./transport.ts";

/**
 * How a worker thread opens a port by itself: the module that implements it, the name of its door
 * and the URL. Plain data, so it crosses threads.
 */
export interface ConnectorRef {
  /** Absolute module URL or public name. */
  readonly module: string;
  /** Name of the exported door function in it. */
  readonly export: string;
  readonly url: string;
}

/** What a connector folder exports under these names, where it implements the port. */
export interface ConnectorDoors {
  readonly openHistory?: OpenHistoryStore;
  readonly openState?: OpenStateStore;
  readonly openTransport?: OpenTransport;
}
