import { z } from "zod";
import { type Clock, QmtlError } from "../../../runtime/index.ts";
import { type HttpClient } from "../server/http-client.ts";

/** State of the log of one table. */
interface Log {
  readonly isSuspended: boolean;
  /** Last transaction that readers see. */
  readonly applied: number;
  /** Last transaction that is committed. */
  readonly committed: number;
  readonly fault: string;
}

/** Null right after the server's start, "" where all is well. */
const faultText = z
  .string()
  .nullable()
  .transform((text) => text ?? "");
const logRow = z.tuple([z.string(), z.boolean(), z.number(), z.number(), faultText, faultText]);

const pollMsMax = 50;

/**
 * Waits until what is committed to a table can be read: the server acknowledges a write once it is
 * in the table's log, and applies the log to the table later.
 *
 * @throws QmtlError STORE_UNAVAILABLE naming the table if its log is suspended (an operator has to
 *   resume it), or makes no progress for `stillMsMax`.
 */
export async function untilVisible(
  client: HttpClient,
  tables: readonly string[],
  options: { readonly clock: Clock; readonly stillMsMax: number },
  signal: AbortSignal,
): Promise<void> {
  const { clock, stillMsMax } = options;
  const targets = new Map<string, number>();
  let appliedSum = -1;
  let stillSinceMs = clock.now();
  for (let pollMs = 1; ; pollMs = Math.min(pollMsMax, pollMs * 2)) {
    const logs = await logsOf(client, tables, signal);
    let sum = 0;
    const waiting: string[] = [];
    for (const table of tables) {
      const log = logs.get(table);
      if (log === undefined) throw gone(table);
      const target = targets.get(table) ?? log.committed;
      targets.set(table, target);
      sum += log.applied;
      if (log.applied >= target) continue;
      if (log.isSuspended) throw suspended(table, log);
      waiting.push(table);
    }
    if (waiting.length === 0) return;
    if (sum > appliedSum) {
      appliedSum = sum;
      stillSinceMs = clock.now();
    }
    if (clock.now() - stillSinceMs > stillMsMax) throw stuck(waiting, stillMsMax);
    await clock.sleep(pollMs, signal);
  }
}

async function logsOf(
  client: HttpClient,
  tables: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Log>> {
  const names = tables.map((table) => `'${table}'`).join(", ");
  const rows = await client.query(
    `SELECT name, suspended, writerTxn, sequencerTxn, errorTag, errorMessage FROM wal_tables() WHERE name IN (${names})`,
    signal,
  );
  return new Map(
    rows.map((row): [string, Log] => {
      const [name, isSuspended, applied, committed, tag, message] = logRow.parse(row);
      return [name, { isSuspended, applied, committed, fault: `${tag} ${message}`.trim() }];
    }),
  );
}

function suspended(table: string, log: Log): QmtlError {
  return new QmtlError(
    "STORE_UNAVAILABLE",
    `Cannot see rows of the table "${table}": its log is suspended after transaction ${log.applied} of ${log.committed} (${log.fault || "no error told"}), wanted it resumed: ALTER TABLE "${table}" RESUME WAL`,
    { table, appliedTransaction: log.applied, committedTransaction: log.committed },
  );
}

function stuck(tables: readonly string[], stillMsMax: number): QmtlError {
  return new QmtlError(
    "STORE_UNAVAILABLE",
    `Cannot see rows of "${tables.join('", "')}": the log was not applied for ${stillMsMax} ms (walMsMax), wanted progress`,
    { tables: tables.join(",") },
  );
}

function gone(table: string): QmtlError {
  return new QmtlError(
    "STORE_REJECTED",
    `Cannot see rows of the table "${table}": the server has no such table with a log, wanted it as create_table.sql says`,
    { table },
  );
}
