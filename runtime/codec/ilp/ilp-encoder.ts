import { type ColumnBatch } from "../../contract/columns.ts";
import { assert } from "../../core/assert.ts";
import { QmtlError } from "../../core/errors.ts";
import { writeInteger } from "./digits.ts";
import { type IlpField, type IlpSeries } from "./ilp-series.ts";

/** Unit of the designated timestamp on the wire; `ts` is in ms. */
export type IlpTimeUnit = "us" | "ns";

/** Size and time unit of an encoder. */
export interface IlpEncoderOptions {
  /** Bytes of one request body, at most: 4,096 to 2^30. */
  readonly bytesMax: number;
  readonly timeUnit: IlpTimeUnit;
}

/**
 * Encodes columns as lines of QuestDB's ingestion protocol, version 2 (binary doubles), in one
 * buffer that is reused. Byte for byte what the official client writes for the same row:
 *
 *   table,node_id=…,definition_id=…,key=…,interval=… seq=0i,open==␐<f64 LE>,trades=7i <time>t\n
 *
 *   I1  A field without a value (NaN) is left out of its line: the server stores null, which is
 *       read back as NaN. A line always has `seq`.
 *   I2  A `bool` is written as 0i or 1i, for an integer column: the server's BOOLEAN has no null.
 *   I3  Whole lines only; length <= bytesMax.
 *   I4  Nothing is allocated for a row.
 *
 * Life: `append` until it says that it is full, send `written()`, `reset`.
 */
export class IlpEncoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Digits that turn ms into the unit, and the unit's letter. */
  readonly #zeros: number;
  readonly #unit: number;
  #length = 0;
  #rows = 0;

  /** @throws RangeError if `bytesMax` is not an integer in its range. */
  constructor({ bytesMax, timeUnit }: IlpEncoderOptions) {
    if (!Number.isInteger(bytesMax) || bytesMax < 4_096 || bytesMax > 2 ** 30) {
      throw new RangeError(
        `Cannot size an ILP buffer: bytesMax is ${bytesMax}, wanted an integer from 4096 to 2^30`,
      );
    }
    this.#bytes = new Uint8Array(bytesMax);
    this.#view = new DataView(this.#bytes.buffer);
    this.#zeros = timeUnit === "us" ? 3 : 6;
    this.#unit = timeUnit === "us" ? letter.t : letter.n;
  }

  /** Bytes written since the last `reset`. */
  get length(): number {
    return this.#length;
  }

  /** Rows written since the last `reset`. */
  get rows(): number {
    return this.#rows;
  }

  /** The lines, a view valid until the next `append` or `reset`. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Begins an empty buffer. */
  reset(): void {
    this.#length = 0;
    this.#rows = 0;
  }

  /**
   * Encodes rows `from`, `from` + 1, … of `batch` for as long as there is room.
   *
   * @returns the first row that was not encoded, `batch.count` if all were.
   * @throws QmtlError RECORD_INVALID if an integer field holds no integer within ±2^53, or a
   *   number is infinite; the rows before it are encoded. MESSAGE_TOO_LARGE if one line of the
   *   series may be longer than `bytesMax`.
   */
  append(series: IlpSeries, batch: ColumnBatch, from = 0): number {
    assert(batch.columns.length === series.fields.length, "a column per field");
    if (series.lineBytesMax > this.#bytes.length) {
      throw new QmtlError(
        "MESSAGE_TOO_LARGE",
        `Cannot encode a row: it may take ${series.lineBytesMax} bytes, wanted at most ${this.#bytes.length}`,
      );
    }
    const lastStart = this.#bytes.length - series.lineBytesMax;
    let row = from;
    for (; row < batch.count && this.#length <= lastStart; row += 1) {
      this.#length = this.#line(series, batch, row);
      this.#rows += 1;
    }
    return row;
  }

  /** Writes one line at the end of what is there; returns its end. */
  #line(series: IlpSeries, batch: ColumnBatch, row: number): number {
    const bytes = this.#bytes;
    const { prefix, fields } = series;
    bytes.set(prefix, this.#length);
    let at = this.#length + prefix.length;
    at = this.#integer(at, batch.seq[row]!, "seq");
    for (let i = 0; i < fields.length; i += 1) {
      const value = batch.columns[i]![row]!;
      if (value !== value) continue;
      at = this.#field(at, fields[i]!, value);
    }
    bytes[at] = letter.space;
    return this.#time(at + 1, batch.ts[row]!);
  }

  #field(start: number, field: IlpField, value: number): number {
    const bytes = this.#bytes;
    const { lead } = field;
    let at = start;
    for (let i = 0; i < lead.length; i += 1) {
      bytes[at] = lead[i]!;
      at += 1;
    }
    if (field.kind !== "f64") return this.#integer(at, value, field.name);
    if (value === Infinity || value === -Infinity) throw notAccepted(field.name, value);
    this.#view.setFloat64(at, value + 0, true);
    return at + 8;
  }

  #integer(start: number, value: number, name: string): number {
    if (Math.floor(value) !== value || Math.abs(value) > 2 ** 53) throw notAccepted(name, value);
    const at = writeInteger(this.#bytes, start, value);
    this.#bytes[at] = letter.i;
    return at + 1;
  }

  /** The designated timestamp and the end of the line. */
  #time(start: number, ts: number): number {
    if (Math.floor(ts) !== ts || Math.abs(ts) > 2 ** 53) throw notAccepted("ts", ts);
    const bytes = this.#bytes;
    let at = writeInteger(bytes, start, ts);
    if (ts !== 0) {
      for (let i = 0; i < this.#zeros; i += 1) {
        bytes[at] = letter.zero;
        at += 1;
      }
    }
    bytes[at] = this.#unit;
    bytes[at + 1] = letter.newline;
    return at + 2;
  }
}

const letter = { newline: 10, space: 32, zero: 48, i: 105, n: 110, t: 116 } as const;

function notAccepted(field: string, value: number): QmtlError {
  return new QmtlError(
    "RECORD_INVALID",
    `Cannot encode the field "${field}": found ${value}, wanted a finite number, whole and within ±2^53 where the field is no f64`,
    { field, value },
  );
}
