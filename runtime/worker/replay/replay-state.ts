import { type ConnectorRef, openByRef } from "../../contract/connector.ts";
import { type OpenStateStore, type StateStore } from "../../contract/state-store.ts";
import { digest } from "../../graph/ids.ts";
import { type ReplayOrder } from "../protocol.ts";
import { type ReplayCheckpoints } from "./replay-run.ts";

/** Time between two checkpoints of a replay, ms. */
const checkpointMs = 250;

/** Opens the state store that `ref` names, if any. */
export async function openState(
  ref: ConnectorRef | undefined,
  signal: AbortSignal,
): Promise<StateStore | undefined> {
  if (ref === undefined) return undefined;
  const open = await openByRef<OpenStateStore>(ref);
  return await open(ref.url, signal);
}

/** A replay goes on only with the state of the same graph, keys, ranges and rows. */
export function replayCheckpoints(
  store: StateStore,
  order: Pick<ReplayOrder, "ids" | "components" | "ranges" | "task" | "isSimulated">,
): ReplayCheckpoints {
  const { ids, components, ranges, isSimulated } = order;
  const plan = digest(`replay ${JSON.stringify({ ids, components, ranges, isSimulated })}`);
  return { store, name: order.task, plan, everyMs: checkpointMs };
}
