/** `redis://` and `rediss://`: checkpoints, latest values and node history in Redis. */
export { openState } from "./state.ts";
