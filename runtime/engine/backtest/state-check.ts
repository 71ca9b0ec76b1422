import { type ConnectorRef, openByRef } from "../../contract/connector.ts";
import { type OpenStateStore } from "../../contract/state-store.ts";
import { untilUp } from "../../worker/outage/until-up.ts";
import { type Backtest } from "./backtest.ts";

/** `memory:` ends with the run: there is nothing to go on from, and no checkpoint is made. */
export function stateOf({ settings, connectors }: Backtest): ConnectorRef | undefined {
  return settings.state === "memory:" ? undefined : connectors.refOf("state", settings.state);
}

/**
 * Sees that the state store is up before the run begins, and tells what its settings put at risk.
 *
 * @throws QmtlError CONFIG_INVALID, and what opening it throws but for being down.
 */
export async function checkState(run: Backtest, signal: AbortSignal): Promise<void> {
  const ref = stateOf(run);
  if (ref === undefined) return;
  const open = await openByRef<OpenStateStore>(ref);
  const onNote = (text: string): void => run.onProgress({ kind: "note", text });
  const { url } = ref;
  const limitMs = run.settings.outageMsMax;
  const state = await untilUp(
    { url, onNote, limitMs, open: async () => await open(url, signal) },
    signal,
  );
  for (const text of state.warnings) onNote(text);
  await state.close();
}
