export { type SimulatorSettings, simulatorConfig } from "./config.ts";
export {
  type AnswerFaultKind,
  type FaultKind,
  type FaultRule,
  faultKinds,
  parseFaults,
} from "./faults.ts";
export {
  type ExchangeSimulator,
  type LoggedRequest,
  type SimulatorOptions,
  startExchangeSimulator,
} from "./server.ts";
