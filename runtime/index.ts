/** The door of `runtime/` for our other folders: a list of names, grouped by room. */
// core

// codec
export { type Compression, Compressor, compressions } from "./codec/compression/compression.ts";
export { crc32c } from "./codec/crc32c.ts";
export { IlpEncoder, type IlpTimeUnit } from "./codec/ilp/ilp-encoder.ts";
export { escapeIlp, IlpSeries } from "./codec/ilp/ilp-series.ts";
export {
  type AbortedTransaction,
  AbortedTransactions,
} from "./codec/kafka/aborted-transactions.ts";
export { type BatchSpan, batchSpan } from "./codec/kafka/batch-span.ts";
export {
  batchField,
  batchOffsets,
  type ProducerStamp,
  placeBatch,
  plainProducer,
  readInt64,
  stampBatch,
  writeInt64,
} from "./codec/kafka/record-batch.ts";
export { RecordBatchReader } from "./codec/kafka/record-batch-reader.ts";
export { RecordBatchWriter } from "./codec/kafka/record-batch-writer.ts";
export { KeyTable } from "./codec/key-table.ts";
export { murmur2, partitionOf } from "./codec/partitioner.ts";
// contract
export {
  type ColumnBatch,
  concatColumns,
  faultOfRows,
  mergeColumns,
  newColumnBatch,
  rowAtTime,
  sliceColumns,
} from "./contract/columns.ts";
export {
  type ConnectorDoors,
  type ConnectorIndex,
  type ConnectorRef,
  type ExchangeChoice,
  openByRef,
} from "./contract/connector.ts";
export {
  type Exchange,
  type FetchEstimate,
  type KlinePage,
  type KlineRequest,
} from "./contract/exchange.ts";
export {
  type Coverage,
  type HistoryCapabilities,
  type HistoryOpenOptions,
  type HistoryPage,
  type HistoryStore,
  type OpenHistoryStore,
  type Series,
  type TimeRange,
} from "./contract/history-store.ts";
export { type Kline, kline } from "./contract/kline.ts";
export {
  checkSchema,
  type FieldKind,
  fieldsMax,
  isSameSchema,
  type Row,
  type Schema,
} from "./contract/schema.ts";
export {
  type Commit,
  type CommitResult,
  type HistoryAppend,
  type LatestValue,
  type OpenStateStore,
  type Pieces,
  type Restored,
  type StateStore,
} from "./contract/state-store.ts";
export {
  type FetchedBytes,
  type FetchLimits,
  type FetchPosition,
  type OpenTransport,
  type PartitionEnds,
  type ProducerIdentity,
  type TopicSpec,
  type Transport,
} from "./contract/transport.ts";
export { AssertionError, assert } from "./core/assert.ts";
export { type CheckedSettings, checkSettings } from "./core/check-settings.ts";
export { type Clock, reasonOf, systemClock } from "./core/clock.ts";
export {
  type Details,
  type ErrorCode,
  type ErrorData,
  errorText,
  fromErrorData,
  hasCode,
  QmtlError,
  retryOf,
  toError,
  toErrorData,
} from "./core/errors.ts";
export { Interval, type IntervalName, intervalNames, periodBars } from "./core/interval.ts";
// engine
export {
  type FillOptions,
  type FillProgress,
  type FillResult,
  fillMissing,
} from "./engine/backfill.ts";
// engine
export {
  type BacktestReport,
  type EquityReport,
  type NodeReport,
  type RunProgress,
  type StreamReport,
} from "./engine/backtest/report.ts";
export {
  barsIn,
  coverageWith,
  coverageWithout,
  intersectRanges,
  mergeRanges,
  missingIn,
  subtractRanges,
} from "./engine/coverage.ts";
export { type LiveReport } from "./engine/live/live-report.ts";
export {
  type BacktestOptions,
  type LiveOptions,
  Runner,
  type StrategyDefaults,
} from "./engine/runner.ts";
// graph
export {
  type Declaration,
  type NodeDeclaration,
  type OnLate,
  type OnMissing,
  type Param,
  type Params,
  type SourceIdentity,
  type StreamDeclaration,
  type UserFunction,
} from "./graph/declaration.ts";
export { returnsTag } from "./graph/graph.ts";
export { definitionIdOf, faultOfParams, nodeIdOf } from "./graph/ids.ts";
export { type StrategyClass, type StrategyFlags } from "./graph/strategy.ts";
// window
export { type Column } from "./window/column.ts";
export { type Window } from "./window/window.ts";
