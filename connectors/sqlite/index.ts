/** `sqlite:PATH`, stores in one file each, without a server. */
export { openHistory } from "./history.ts";
export { openState } from "./state.ts";
