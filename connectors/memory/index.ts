/** `memory:`, the connector without a server: data ends with its openers. */
export { openHistory } from "./history.ts";
export { openState } from "./state.ts";
export { openTransport } from "./transport.ts";
