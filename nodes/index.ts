/** The SDK's door, package `qmtl`: what strategies are written with. */
export {
  type Column,
  type IntervalName,
  type Kline,
  kline,
  type OnLate,
  type OnMissing,
  type Params,
  QmtlError,
  type Row,
  Runner,
  type Schema,
  type StrategyFlags,
  type Window,
} from "../runtime/index.ts";
export { type AtrOptions, type AtrParams, type AtrSchema, atr } from "./indicators/atr.ts";
export { type EmaOptions, type EmaParams, type EmaSchema, ema } from "./indicators/ema.ts";
export {
  type ReturnsOptions,
  type ReturnsParams,
  type ReturnsSchema,
  returns,
} from "./indicators/returns.ts";
export { type RollingMaxSchema, rollingMax } from "./indicators/rolling-max.ts";
export { type RollingMinSchema, rollingMin } from "./indicators/rolling-min.ts";
export { type SmaSchema, sma } from "./indicators/sma.ts";
export { type ZscoreSchema, zscore } from "./indicators/zscore.ts";
export {
  Join,
  type JoinOptions,
  Node,
  type NodeOptions,
  Operator,
  type OperatorOptions,
} from "./node.ts";
export { type FieldOptions, type FieldParams } from "./over-field.ts";
export { Strategy } from "./strategy.ts";
export {
  type EventRecorder,
  type HistoryProvider,
  StreamInput,
  type StreamInputOptions,
} from "./stream-input.ts";
export { type CheckResult, type Context, type MutableRow, type Upstream } from "./typing.ts";
