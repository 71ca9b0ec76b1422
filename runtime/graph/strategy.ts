import { QmtlError } from "../core/errors.ts";
import { importModule } from "../core/import-module.ts";
import { type Declaration } from "./declaration.ts";
import { buildGraph, type Graph } from "./graph.ts";

/** What a strategy's `setup` may depend on: plain data, the same in every thread. */
export interface StrategyFlags {
  /** Symbols as the exchange spells them, `BTCUSDT`. */
  readonly symbols: readonly string[];
  /** Bar length, `1m`. */
  readonly interval: string;
}

/** A strategy as the runtime sees it. */
export interface StrategyInstance {
  setup(): void;
  readonly declarations: readonly Declaration[];
  /** Lines for the report. */
  readonly notes: readonly string[];
}

/** The exported class of a strategy. */
export type StrategyClass = new (flags: StrategyFlags) => StrategyInstance;

/** Where a worker finds the class: module URL and export name. */
export interface StrategyRef {
  readonly module: string;
  readonly exportName: string;
}

/** A strategy that has been set up. */
export interface Prepared {
  readonly name: string;
  readonly graph: Graph;
  readonly notes: readonly string[];
}

/**
 * Runs `setup` and builds the graph.
 *
 * @throws QmtlError STRATEGY_INVALID if no node was added; else what `buildGraph` throws.
 */
export function prepare(strategy: StrategyClass, flags: StrategyFlags): Prepared {
  const instance = new strategy(flags);
  instance.setup();
  if (instance.declarations.length === 0) {
    throw new QmtlError(
      "STRATEGY_INVALID",
      `Cannot run ${strategy.name}: setup() added no nodes, wanted at least one (addNodes)`,
    );
  }
  return {
    name: strategy.name,
    graph: buildGraph(instance.declarations),
    notes: instance.notes,
  };
}

/** All IDs of a graph, in order: definitions, and the nodes of their keys. */
export function idsOf(graph: Graph): readonly string[] {
  return graph.nodes.flatMap(({ definitionId, keys }) => [
    definitionId,
    ...keys.map(({ nodeId }) => nodeId),
  ]);
}

/**
 * Imports the strategy in this thread, sets it up and compares all IDs with the plan's.
 *
 * @throws QmtlError STRATEGY_INVALID if the export is missing, SETUP_NOT_DETERMINISTIC on a
 *   difference.
 */
export async function prepareHere(
  ref: StrategyRef,
  flags: StrategyFlags,
  ids: readonly string[],
): Promise<Prepared> {
  const module = await importModule(ref.module);
  const strategy = module[ref.exportName];
  if (typeof strategy !== "function") {
    throw new QmtlError(
      "STRATEGY_INVALID",
      `Cannot run "${ref.exportName}" in a worker: its module does not export it, wanted "export class ${ref.exportName}"`,
    );
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the main thread ran the same class
  const prepared = prepare(strategy as StrategyClass, flags);
  const own = idsOf(prepared.graph);
  const at = ids.findIndex((id, i) => own[i] !== id);
  if (at >= 0 || own.length !== ids.length) {
    throw new QmtlError(
      "SETUP_NOT_DETERMINISTIC",
      `Cannot run "${ref.exportName}" in a worker: setup() gave ${own.length} IDs that differ at ${at} (${own[at] ?? "none"}), wanted the main thread's ${ids.length} (${ids[at] ?? "none"}); make it depend on flags alone`,
      { at },
    );
  }
  return prepared;
}
