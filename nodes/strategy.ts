import { type Declaration, QmtlError, type StrategyFlags } from "../runtime/index.ts";
import { type Upstream } from "./typing.ts";

/**
 * What a user writes: a class whose `setup` declares nodes and adds them. Every worker thread runs
 * `setup` by itself and compares the IDs, so it depends on `flags` and nothing else.
 */
export abstract class Strategy {
  /** Resolved flags of the run: symbols, interval, and the strategy's own. */
  readonly flags: StrategyFlags;
  readonly #declarations: Declaration[] = [];
  readonly #notes: string[] = [];

  constructor(flags: StrategyFlags) {
    this.flags = flags;
  }

  /** Declares the nodes and adds them with `addNodes`. Called once per thread. */
  abstract setup(): void;

  /** Adds nodes; what they read from comes along. */
  protected addNodes(nodes: readonly Upstream[]): void {
    for (const [i, node] of nodes.entries()) {
      if (node?.declaration === undefined) {
        throw new QmtlError(
          "STRATEGY_INVALID",
          `Cannot add node ${i} to ${this.constructor.name}: found ${typeof node}, wanted a stream or node`,
        );
      }
      this.#declarations.push(node.declaration);
    }
  }

  /** A line for the report: what this strategy did or left out, and why. */
  protected note(text: string): void {
    this.#notes.push(text);
  }

  /** Lines for the report. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** What `setup` has added, in order. */
  get declarations(): readonly Declaration[] {
    return this.#declarations;
  }
}
