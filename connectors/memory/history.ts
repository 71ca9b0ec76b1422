import {
  type ColumnBatch,
  type Coverage,
  concatColumns,
  coverageWith,
  coverageWithout,
  faultOfRows,
  type HistoryOpenOptions,
  type HistoryPage,
  type HistoryStore,
  isSameSchema,
  mergeColumns,
  QmtlError,
  rowAtTime,
  type Series,
  sliceColumns,
  type TimeRange,
} from "../../runtime/index.ts";
import { memoryHistoryConfig, parseMemoryUrl } from "./config.ts";
import { type Share, Shares } from "./shares.ts";

/**
 * Rows and coverage of one series.
 *
 *   segments  sorted and disjoint by (ts, seq), none empty, at most `segmentRowsMax` rows each
 *
 *   M1  A segment is never written again once it is in the list: a change puts new ones in its
 *       place, so a reader that holds the old list goes on reading what it began with.
 */
interface Rows {
  readonly series: Series;
  readonly segments: readonly ColumnBatch[];
  readonly coverage: Coverage;
}

interface Data {
  readonly rowsOf: Map<string, Rows>;
  bytes: number;
}

/** Also the contract's limit on a batch: a segment is fetched whole. */
const segmentRowsMax = 65_536;
/** Pages are joined to the segment before them up to here, so that a segment is worth its overhead. */
const segmentRowsAim = 8_192;
const noCoverage: Coverage = { have: [], empty: [] };

const shares = new Shares<Data>();

/**
 * Opens `memory:` (fresh) or `memory:NAME` (shared by the openers of this thread while one is open).
 *
 * @throws QmtlError CONFIG_INVALID for a URL it cannot read.
 */
export async function openHistory(
  url: string,
  options: HistoryOpenOptions,
  signal: AbortSignal,
): Promise<HistoryStore> {
  signal.throwIfAborted();
  const config = parseMemoryUrl(url, memoryHistoryConfig);
  const name = config.name !== "" && options.isSimulated ? `${config.name}.simulated` : config.name;
  const share = shares.hold(name, () => ({ rowsOf: new Map<string, Rows>(), bytes: 0 }));
  return new MemoryHistory(share, { bytesMax: config.bytesMax, isReader: options.mode === "read" });
}

/** A history store that ends with its openers; see `Rows` for the layout. */
class MemoryHistory implements HistoryStore {
  readonly capabilities = { writers: "many", isPageAtomic: true } as const;
  readonly #share: Share<Data>;
  readonly #bytesMax: number;
  readonly #isReader: boolean;

  constructor(share: Share<Data>, options: { bytesMax: number; isReader: boolean }) {
    this.#share = share;
    this.#bytesMax = options.bytesMax;
    this.#isReader = options.isReader;
  }

  async coverage(series: Series, signal: AbortSignal): Promise<Coverage> {
    return (
      this.#share.use("read coverage", signal).rowsOf.get(series.nodeId)?.coverage ?? noCoverage
    );
  }

  async *fetch(series: Series, range: TimeRange, signal: AbortSignal): AsyncIterable<ColumnBatch> {
    const segments = this.#share.use("read rows", signal).rowsOf.get(series.nodeId)?.segments ?? [];
    for (const segment of segments) {
      this.#share.use("read rows", signal);
      const from = rowAtTime(segment, range.start);
      const to = rowAtTime(segment, range.end);
      if (from < to) {
        yield concatColumns([sliceColumns(segment, from, to)], segment.columns.length);
      }
    }
  }

  async persist(series: Series, page: HistoryPage, signal: AbortSignal): Promise<void> {
    const data = this.#dataToWrite(series, signal);
    const stored = data.rowsOf.get(series.nodeId);
    const columnCount = Object.keys(series.schema).length;
    const fault =
      stored === undefined || isSameSchema(stored.series.schema, series.schema)
        ? faultOfRows(page.rows, columnCount)
        : "its fields differ from those that are stored";
    if (fault !== undefined) {
      throw new QmtlError("STORE_REJECTED", `Cannot write a page of "${series.key}": ${fault}`);
    }
    this.#put(series, {
      // A page without a name leaves the one there is.
      series: { ...stored?.series, ...series },
      segments: withRows(stored?.segments ?? [], page.rows),
      coverage: coverageWith(stored?.coverage ?? noCoverage, page),
    });
  }

  async forget(series: Series, range: TimeRange, signal: AbortSignal): Promise<void> {
    const stored = this.#dataToWrite(series, signal).rowsOf.get(series.nodeId);
    if (stored === undefined) return;
    this.#put(series, {
      series: stored.series,
      segments: withoutRange(stored.segments, range),
      coverage: coverageWithout(stored.coverage, range),
    });
  }

  async list(signal: AbortSignal): Promise<readonly Series[]> {
    return [...this.#share.use("list series", signal).rowsOf.values()].map((rows) => rows.series);
  }

  async close(): Promise<void> {
    this.#share.release();
  }

  #dataToWrite(series: Series, signal: AbortSignal): Data {
    const data = this.#share.use("write history", signal);
    if (!this.#isReader) return data;
    throw new QmtlError(
      "STORE_READ_ONLY",
      `Cannot write history of "${series.key}": the store is open to read, wanted it open to write`,
    );
  }

  #put(series: Series, next: Rows): void {
    const data = this.#share.data;
    const bytesBefore = bytesOf(data.rowsOf.get(series.nodeId)?.segments ?? []);
    const bytes = data.bytes - bytesBefore + bytesOf(next.segments);
    if (bytes > this.#bytesMax && bytes > data.bytes) {
      throw new QmtlError(
        "STORE_FULL",
        `Cannot write history of "${series.key}": it would take ${bytes} bytes of memory, wanted at most ${this.#bytesMax} (bytesMax)`,
        { bytes, bytesMax: this.#bytesMax },
      );
    }
    data.bytes = bytes;
    const { coverage, segments } = next;
    const isEmpty = segments.length + coverage.have.length + coverage.empty.length === 0;
    if (isEmpty) data.rowsOf.delete(series.nodeId);
    else data.rowsOf.set(series.nodeId, next);
  }
}

function bytesOf(segments: readonly ColumnBatch[]): number {
  return segments.reduce((sum, part) => sum + part.count * 8 * (2 + part.columns.length), 0);
}

/** `segments` with `rows` merged in (M1): only those that `rows` overlaps are made anew. */
function withRows(segments: readonly ColumnBatch[], rows: ColumnBatch): readonly ColumnBatch[] {
  if (rows.count === 0) return segments;
  const firstMs = rows.ts[0] ?? 0;
  const lastMs = rows.ts[rows.count - 1] ?? 0;
  let from = segments.findLastIndex((part) => (part.ts[part.count - 1] ?? 0) < firstMs) + 1;
  const after = segments.findIndex((part) => (part.ts[0] ?? 0) > lastMs);
  const to = after === -1 ? segments.length : after;
  const before = segments[from - 1];
  if (from === to && before !== undefined && before.count + rows.count <= segmentRowsAim) from -= 1;
  const stored = concatColumns(segments.slice(from, to), rows.columns.length);
  return [...segments.slice(0, from), ...split(mergeColumns(stored, rows)), ...segments.slice(to)];
}

function split(batch: ColumnBatch): readonly ColumnBatch[] {
  const parts: ColumnBatch[] = [];
  for (let from = 0; from < batch.count; from += segmentRowsMax) {
    parts.push(sliceColumns(batch, from, Math.min(batch.count, from + segmentRowsMax)));
  }
  return parts;
}

function withoutRange(segments: readonly ColumnBatch[], range: TimeRange): readonly ColumnBatch[] {
  return segments.flatMap((part) => {
    const from = rowAtTime(part, range.start);
    const to = rowAtTime(part, range.end);
    if (from >= to) return [part];
    // Copies, so that the memory of what is forgotten can go.
    return [sliceColumns(part, 0, from), sliceColumns(part, to, part.count)]
      .filter((left) => left.count > 0)
      .map((left) => concatColumns([left], left.columns.length));
  });
}
