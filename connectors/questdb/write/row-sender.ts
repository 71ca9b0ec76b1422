import {
  type ColumnBatch,
  hasCode,
  IlpEncoder,
  type IlpSeries,
  reasonOf,
  rowAtTime,
  sliceColumns,
} from "../../../runtime/index.ts";
import { type QuestdbConfig } from "../config.ts";
import { type HttpClient } from "../server/http-client.ts";

/** A row that was not stored. */
export interface Rejection {
  /** Index in the batch that was sent. */
  readonly row: number;
  /** The server's words, or the encoder's. */
  readonly reason: string;
}

/** Rows of one caller on their way. */
interface Job {
  readonly lines: IlpSeries;
  readonly rows: ColumnBatch;
  readonly rejections: Rejection[];
  readonly rejectedRowsMax: number;
  readonly settle: (error?: unknown) => void;
  /** First row that is in no request yet. */
  next: number;
  /** Requests under way that hold rows of it. */
  pending: number;
  isSettled: boolean;
}

/** Consecutive rows of one job. */
interface Part {
  readonly job: Job;
  readonly from: number;
  readonly to: number;
}

const inFlightMax = 2;
/** Last instant that QuestDB takes; it answers a later one with a fault that looks passing. */
const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

type Limits = Pick<
  QuestdbConfig,
  "batchRowsMax" | "batchBytesMax" | "batchMsMax" | "rejectedRowsMax"
>;

/**
 * Rows of all callers in shared requests: a request leaves when it is full by rows or bytes, or
 * when its first row is `batchMsMax` old and one of `inFlightMax` places is free.
 *
 *   S1  A request is kept until the server took it: its bytes stay in their buffer, its rows with
 *       their callers.
 *   S2  A refused request stores nothing that may not be sent again. It is cut where the server's
 *       words point, else in halves, until the refused rows stand alone; all others land.
 *   S3  A caller whose rows are all taken or refused goes on, whatever happens to the others.
 */
export class RowSender {
  readonly #client: HttpClient;
  readonly #limits: Limits;
  readonly #queue: Job[] = [];
  readonly #free: IlpEncoder[] = [];
  readonly #underWay = new Set<LineRequest>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: HttpClient, limits: Limits) {
    this.#client = client;
    this.#limits = limits;
  }

  /**
   * Resolves once each row is in the table's log or refused; tells the refused ones in order.
   *
   * @throws QmtlError STORE_UNAVAILABLE, MESSAGE_TOO_LARGE; the signal's reason at once, with rows
   *   that may land or not.
   */
  async send(
    lines: IlpSeries,
    rows: ColumnBatch,
    signal: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = (error?: unknown): void => {
      if (job.isSettled) return;
      job.isSettled = true;
      if (error === undefined) resolve();
      else reject(error);
    };
    const { rejectedRowsMax } = this.#limits;
    const job: Job = {
      lines,
      rows: storable(rows),
      rejections: [],
      rejectedRowsMax,
      settle,
      next: 0,
      pending: 0,
      isSettled: false,
    };
    for (let row = job.rows.count; row < rows.count; row += 1) {
      refuse(job, row, `ts is ${rows.ts[row]}, wanted at most ${lastMs} (the year 9999)`);
    }
    const stop = (): void => {
      settle(reasonOf(signal));
      for (const request of this.#underWay) request.stopIfUnwanted();
    };
    signal.addEventListener("abort", stop, { once: true });
    if (job.rows.count === 0) settle();
    else this.#queue.push(job);
    this.#wake();
    try {
      await promise;
      return job.rejections.toSorted((a, b) => a.row - b.row);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Fails what is under way with `reason`; safe to call twice. */
  close(reason: Error): void {
    clearTimeout(this.#timer);
    for (const job of this.#queue.splice(0)) job.settle(reason);
    for (const request of this.#underWay) {
      for (const { job } of request.parts) job.settle(reason);
      request.stopIfUnwanted();
    }
  }

  /** Begins a request now if one is full, else when its rows are old enough. */
  #wake(): void {
    const { batchRowsMax, batchBytesMax, batchMsMax } = this.#limits;
    let rows = 0;
    let bytes = 0;
    for (const job of this.#queue) {
      rows += job.rows.count - job.next;
      bytes += (job.rows.count - job.next) * job.lines.lineBytesMax;
    }
    if (rows >= batchRowsMax || bytes >= batchBytesMax || batchMsMax === 0) {
      this.#pump();
      return;
    }
    this.#timer ??= setTimeout(() => this.#pump(), batchMsMax);
  }

  /** Fills requests while there are rows and a place for one. */
  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#underWay.size < inFlightMax && this.#queue.length > 0) {
      const { batchBytesMax } = this.#limits;
      const encoder =
        this.#free.pop() ?? new IlpEncoder({ bytesMax: batchBytesMax, timeUnit: "us" });
      encoder.reset();
      const parts = this.#fill(encoder);
      // `#flush` never rejects: what goes wrong is told to the callers.
      void this.#flush(new LineRequest(encoder, parts));
    }
  }

  /** Moves rows from the queue into `encoder` until it is full or the queue is empty. */
  #fill(encoder: IlpEncoder): readonly Part[] {
    const parts: Part[] = [];
    for (let job = this.#queue[0]; job !== undefined; job = this.#queue[0]) {
      const left = this.#limits.batchRowsMax - encoder.rows;
      if (job.isSettled) {
        this.#queue.shift();
        continue;
      }
      if (left <= 0) break;
      const from = job.next;
      const to = Math.min(job.rows.count, from + left);
      try {
        job.next = encodeRows(encoder, { job, from, to });
      } catch (error) {
        this.#queue.shift();
        job.settle(error);
        continue;
      }
      if (job.next > from) {
        job.pending += 1;
        parts.push({ job, from, to: job.next });
      }
      if (job.next < job.rows.count) break;
      this.#queue.shift();
    }
    return parts;
  }

  async #flush(request: LineRequest): Promise<void> {
    this.#underWay.add(request);
    let fault: unknown;
    try {
      await request.deliver(this.#client);
    } catch (error) {
      fault = error;
    }
    for (const { job } of request.parts) {
      job.pending -= 1;
      if (fault !== undefined) job.settle(fault);
      else if (job.pending === 0 && job.next === job.rows.count) job.settle();
    }
    this.#underWay.delete(request);
    this.#free.push(request.encoder);
    if (this.#queue.length > 0) this.#pump();
  }
}

/** One request under way, and what becomes of it when the server refuses it. */
class LineRequest {
  readonly encoder: IlpEncoder;
  readonly parts: readonly Part[];
  readonly #ending = new AbortController();

  /** `encoder` holds the lines of `parts`. */
  constructor(encoder: IlpEncoder, parts: readonly Part[]) {
    this.encoder = encoder;
    this.parts = parts;
  }

  /** Ends it if nobody waits for any of its rows any more. */
  stopIfUnwanted(): void {
    if (this.parts.every(({ job }) => job.isSettled)) this.#ending.abort();
  }

  /** Resolves once each row is taken or refused. */
  async deliver(client: HttpClient): Promise<void> {
    await this.#send(client, this.parts);
  }

  /** Sends the lines of `parts`, which the encoder holds; a refusal is cut down (S2). */
  async #send(client: HttpClient, parts: readonly Part[]): Promise<void> {
    const { encoder } = this;
    if (encoder.rows === 0) return;
    const refusal = await client.write(encoder.written(), this.#ending.signal);
    if (refusal === undefined) return;
    const lines = linesOf(parts);
    const [only] = lines;
    if (lines.length === 1 && only !== undefined) {
      refuse(only.job, only.from, refusal.reason);
      return;
    }
    const { line } = refusal;
    const isNamed = line !== undefined && line >= 1 && line <= lines.length;
    const half = Math.ceil(lines.length / 2);
    const cuts = isNamed ? [0, line - 1, line, lines.length] : [0, half, lines.length];
    for (let i = 1; i < cuts.length; i += 1) {
      const some = joined(lines.slice(cuts[i - 1], cuts[i]).filter(({ job }) => !job.isSettled));
      encoder.reset();
      for (const part of some) encodeRows(encoder, part);
      await this.#send(client, some);
    }
  }
}

/** The rows of `rows` that lie in time as the server knows it. */
function storable(rows: ColumnBatch): ColumnBatch {
  return sliceColumns(rows, 0, rowAtTime(rows, lastMs + 1));
}

/** So many rows of one page are refused that it is no fault of single rows. */
export class TooManyRejections extends Error {
  readonly rejections: readonly Rejection[];

  constructor(rejections: readonly Rejection[], rejectedRowsMax: number) {
    super(
      `more than ${rejectedRowsMax} rows are refused (rejectedRowsMax), the first because: ${rejections[0]?.reason}`,
    );
    this.rejections = rejections;
  }
}

/**
 * Encodes rows of `part` while there is room; what cannot be a line at all is a rejection of its
 * job, once. Returns the first row that did not fit.
 */
function encodeRows(encoder: IlpEncoder, { job, from, to }: Part): number {
  let row = from;
  while (row < to && !job.isSettled) {
    const before = encoder.rows;
    try {
      return row + encoder.append(job.lines, sliceColumns(job.rows, row, to));
    } catch (error) {
      if (!hasCode(error, "RECORD_INVALID")) throw error;
      row += encoder.rows - before;
      refuse(job, row, error.message);
      row += 1;
    }
  }
  return row;
}

/** Notes that `row` is refused; too many of them settle the job. */
function refuse(job: Job, row: number, reason: string): void {
  if (job.rejections.some((known) => known.row === row)) return;
  job.rejections.push({ row, reason });
  if (job.rejections.length <= job.rejectedRowsMax) return;
  job.settle(new TooManyRejections(job.rejections, job.rejectedRowsMax));
}

/** `parts` as one part per line that is in the request: rows that are no lines are not. */
function linesOf(parts: readonly Part[]): readonly Part[] {
  return parts.flatMap(({ job, from, to }) => {
    const lines: Part[] = [];
    const rejected = new Set(job.rejections.map(({ row }) => row));
    for (let row = from; row < to; row += 1) {
      if (!rejected.has(row)) lines.push({ job, from: row, to: row + 1 });
    }
    return lines;
  });
}

/** `lines` with consecutive rows of a job as one part. */
function joined(lines: readonly Part[]): readonly Part[] {
  const parts: Part[] = [];
  for (const line of lines) {
    const last = parts.at(-1);
    if (last?.job !== line.job || last.to !== line.from) parts.push(line);
    else parts[parts.length - 1] = { ...last, to: line.to };
  }
  return parts;
}
