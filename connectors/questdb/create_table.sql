-- Tables of a history store of bars. The store applies this itself when it is opened to write;
-- it is here for people. Rows of another schema lie in a table of their own, qmtl_ and a hash of
-- the schema; simulated rows in tables with the suffix _simulated.
--
-- ts is the open time of a bar. NULL is a NaN: no value. A bool is INT, 0 or 1, for the same reason.
-- Rows with removed = true were forgotten (QuestDB deletes no rows): leave them out.

CREATE TABLE IF NOT EXISTS "qmtl_kline" (
  "node_id" SYMBOL CAPACITY 4096,
  "definition_id" SYMBOL,
  "key" SYMBOL CAPACITY 4096,
  "interval" SYMBOL,
  "seq" LONG,
  "ts" TIMESTAMP,
  "open" DOUBLE,
  "high" DOUBLE,
  "low" DOUBLE,
  "close" DOUBLE,
  "volume" DOUBLE,
  "closeTime" LONG,
  "quoteVolume" DOUBLE,
  "trades" LONG,
  "takerBuyBase" DOUBLE,
  "takerBuyQuote" DOUBLE,
  "removed" BOOLEAN
) TIMESTAMP(ts) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(ts, node_id, seq);

CREATE TABLE IF NOT EXISTS "qmtl_coverage" (
  "node_id" SYMBOL CAPACITY 4096,
  "kind" SYMBOL,
  "ts" TIMESTAMP,
  "end_ms" LONG,
  "removed" BOOLEAN
) TIMESTAMP(ts) PARTITION BY YEAR WAL DEDUP UPSERT KEYS(ts, node_id, kind, end_ms);

CREATE TABLE IF NOT EXISTS "qmtl_series" (
  "node_id" SYMBOL CAPACITY 4096,
  "definition_id" SYMBOL,
  "key" VARCHAR,
  "interval" SYMBOL,
  "fields" VARCHAR,
  "ts" TIMESTAMP
) TIMESTAMP(ts) PARTITION BY YEAR WAL DEDUP UPSERT KEYS(ts, node_id);

CREATE TABLE IF NOT EXISTS "qmtl_names" (
  "node_id" SYMBOL CAPACITY 4096,
  "name" VARCHAR,
  "ts" TIMESTAMP
) TIMESTAMP(ts) PARTITION BY YEAR WAL DEDUP UPSERT KEYS(ts, node_id);

CREATE TABLE IF NOT EXISTS "qmtl_dead_letters" (
  "node_id" SYMBOL CAPACITY 4096,
  "row_table" SYMBOL,
  "row_ms" DOUBLE,
  "seq" DOUBLE,
  "fields" VARCHAR,
  "reason" VARCHAR,
  "ts" TIMESTAMP
) TIMESTAMP(ts) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(ts, node_id, row_ms, seq);

CREATE TABLE IF NOT EXISTS "qmtl_store" (
  "version" LONG,
  "ts" TIMESTAMP
) TIMESTAMP(ts) PARTITION BY YEAR WAL DEDUP UPSERT KEYS(ts);
