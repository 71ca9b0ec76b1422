import { type ConnectorIndex } from "../../contract/connector.ts";
import { QmtlError } from "../../core/errors.ts";
import { Interval } from "../../core/interval.ts";
import { type StrategyClass } from "../../graph/strategy.ts";
import { type RunSettings } from "../settings.ts";
import { type Live } from "./live.ts";

/** A strategy to run live, as a command line gives it. */
export interface LiveProgram {
  readonly strategy: StrategyClass;
  /** URL of the strategy's module. */
  readonly module: string;
  /** What the strategy runs with if no setting says otherwise. */
  readonly symbols: readonly string[] | undefined;
  readonly interval: string | number | undefined;
  readonly isProfiled: boolean;
  readonly connectors: ConnectorIndex;
}

/**
 * A live run by its settings. Symbols may be none: a stream that takes every key needs none.
 *
 * @throws QmtlError CONFIG_INVALID without a transport.
 */
export function liveBySettings(program: LiveProgram, settings: RunSettings): Live {
  const { strategy, module, connectors } = program;
  const { transport } = settings;
  if (transport === undefined) {
    throw new QmtlError(
      "CONFIG_INVALID",
      "Cannot run live: no transport is given, wanted --transport kafka://HOST:PORT",
    );
  }
  return {
    strategy,
    ref: { module, exportName: strategy.name },
    flags: {
      symbols: settings.symbols ?? program.symbols ?? [],
      interval: Interval.of(settings.interval ?? program.interval ?? "1m").name,
    },
    transport,
    state: settings.state,
    deployment: settings.deployment ?? strategy.name,
    threads: settings.threads,
    recordsMax: settings.records,
    latency: undefined,
    offsetReset: settings.offsetReset,
    pace: {},
    watch: {},
    connectors,
    onCrash: () => undefined,
    metricsPort: settings.metricsPort,
    profile: program.isProfiled,
  };
}
