import { type CheckpointStore } from "../../contract/state-store.ts";
import { digest } from "../../graph/ids.ts";
import { type ReplayOrder } from "../protocol.ts";
import { type ReplayCheckpoints } from "./replay-run.ts";

/** Time between two checkpoints of a replay, ms. */
const checkpointMs = 250;

/**
 * A replay goes on only with the state of the same graph, keys, ranges and rows, over the same
 * store: in another one the outputs before the checkpoint may not be.
 */
export function replayCheckpoints(
  store: CheckpointStore,
  order: Pick<ReplayOrder, "ids" | "components" | "ranges" | "task" | "isSimulated" | "history">,
): ReplayCheckpoints {
  const { ids, components, ranges, isSimulated, history } = order;
  // A path in the URL may be relative.
  const place = { url: history.url, directory: process.cwd() };
  const plan = digest(`replay ${JSON.stringify({ ids, components, ranges, isSimulated, place })}`);
  return { store, name: order.task, plan, everyMs: checkpointMs };
}
