import { ValueDecoder } from "../../../codec/wire/value-decoder.ts";
import { WireLayout } from "../../../codec/wire/wire-layout.ts";
import { compileWireRead, type WireRead } from "../../../codec/wire/wire-reader.ts";
import { compileWireWrite, type WireWrite } from "../../../codec/wire/wire-writer.ts";
import { type Schema } from "../../../contract/schema.ts";
import { assert } from "../../../core/assert.ts";
import { digest } from "../../../graph/ids.ts";
import { type ColumnStore } from "../../../window/column-store.ts";

/** Columns between `ts` and the fields: source, input, seq. */
const extraColumns = 3;

/**
 * The form of one input's records in a repartition topic, under the join's key:
 *
 *   record  [ts u64, source u32, input u32, seq u32, fields…]   at full width, as `WireLayout`
 *   mark    [T u64, source u32, input u32]                      no record closed by T comes any more
 *
 * The topic's name is the join's definition; with `input`, the join's input by position, and the
 * join's key it says the source's definition and key. `source` says whose plan the record is of.
 */
export class ForwardForm {
  readonly input: number;
  readonly #layout: WireLayout;
  readonly #write: WireWrite;
  readonly #read: WireRead;
  readonly #slow: ValueDecoder;
  /** One row: source, input, seq, fields; what is written next. */
  readonly #columns: readonly Float64Array[];
  /** One row: ts, source, input, seq, fields; what was read last. */
  readonly #row: Float64Array;

  /** The form of input `input`, whose records have `schema`, in the plan `source`. */
  constructor(schema: Schema, source: number, input: number) {
    const fields = Object.values(schema).map((kind, i) => [`field${i}`, kind] as const);
    this.#layout = WireLayout.of({
      forwardedBy: "u32",
      forwardedAs: "u32",
      forwardedSeq: "u32",
      ...Object.fromEntries(fields),
    });
    this.#write = compileWireWrite(this.#layout);
    this.#read = compileWireRead(this.#layout);
    this.#slow = new ValueDecoder(this.#layout);
    this.#columns = this.#layout.fields.slice(1).map(() => new Float64Array(1));
    this.#columns[0]![0] = source;
    this.#columns[1]![0] = input;
    this.input = input;
    this.#row = new Float64Array(this.#layout.fields.length);
  }

  /** Takes the store's row at `at` to be written; returns the bytes it needs. */
  load(store: ColumnStore, at: number, seq: number): number {
    const columns = this.#columns;
    columns[2]![0] = seq;
    for (let i = extraColumns; i < columns.length; i += 1) {
      columns[i]![0] = store.values[at + (i - extraColumns + 1) * store.stride]!;
    }
    return this.#layout.lengthOf(columns, 0);
  }

  /** Writes the loaded row, of time `ts`. */
  write(view: DataView, at: number, ts: number): void {
    const end = this.#write(view, at, ts, this.#columns, 0);
    assert(end > at, "what a window holds was checked when it was taken");
  }

  /** Reads a record into the place that `store` has reserved for it; false if it is none. */
  // oxlint-disable-next-line eslint/max-params -- called once a record: no object
  read(view: DataView, bytes: Uint8Array, from: number, length: number): boolean {
    if (this.#read(view, bytes, from, length, this.#row, 0, 1)) return true;
    if (this.#slow.decode(bytes, from, length) !== undefined) return false;
    this.#slow.copyTo(this.#row, 0, 1);
    return true;
  }

  /** Seq of the record that was read. */
  get seq(): number {
    return this.#row[extraColumns]!;
  }

  /** Copies the record that was read to the store's place `at`. */
  copyTo(store: ColumnStore, at: number): void {
    const { values, stride, columnCount } = store;
    values[at] = this.#row[0]!;
    for (let i = 1; i < columnCount; i += 1) {
      values[at + i * stride] = this.#row[i + extraColumns]!;
    }
  }
}

/** What repartition topics know a deployment or a run by: one may be used by several of them. */
export function forwardSource(name: string): number {
  return Number.parseInt(digest(`source ${name}`).slice(0, 8), 16);
}

const u64Tag = 0xcf;
const u32Tag = 0xce;

/** Bytes of a mark. */
export const forwardMarkBytes = 1 + 9 + 5 + 5;

/** Writes the mark `[time, source, input]`. */
// oxlint-disable-next-line eslint/max-params -- three numbers where they go
export function writeForwardMark(
  view: DataView,
  at: number,
  time: number,
  source: number,
  input: number,
): void {
  view.setUint8(at, 0x93);
  writeTime(view, at + 1, time);
  view.setUint8(at + 10, u32Tag);
  view.setUint32(at + 11, source);
  view.setUint8(at + 15, u32Tag);
  view.setUint32(at + 16, input);
}

/** The beginning of what lies in a repartition topic; read in place, one object reused. */
export class ForwardHead {
  isMark = false;
  /** ts of a record, T of a mark. */
  time = 0;
  source = 0;
  input = 0;

  /** Reads the value's head; false if it is neither a record nor a mark. */
  read(view: DataView, at: number, length: number): boolean {
    if (length < forwardMarkBytes) return false;
    const first = view.getUint8(at);
    const start = at + (first === 0xdc ? 3 : 1);
    this.isMark = first === 0x93 && length === forwardMarkBytes;
    const isArray = first === 0xdc || (first & 0xf0) === 0x90;
    if (!isArray || view.getUint8(start) !== u64Tag) return false;
    if (view.getUint8(start + 9) !== u32Tag || view.getUint8(start + 14) !== u32Tag) return false;
    this.time = readTime(view, start);
    this.source = view.getUint32(start + 10);
    this.input = view.getUint32(start + 15);
    return true;
  }
}

/** Bytes of the mark that an input topic may hold under a null key: `[T u64, sourceTask u32]`. */
const inputMarkBytes = 1 + 9 + 5;

/** T of the mark at `at`; NaN if it is none. */
export function inputMarkOf(view: DataView, at: number, length: number): number {
  const isMark =
    length === inputMarkBytes &&
    view.getUint8(at) === 0x92 &&
    view.getUint8(at + 1) === u64Tag &&
    view.getUint8(at + 10) === u32Tag;
  return isMark ? readTime(view, at + 1) : Number.NaN;
}

function writeTime(view: DataView, at: number, time: number): void {
  view.setUint8(at, u64Tag);
  view.setUint32(at + 1, Math.floor(time / 2 ** 32));
  view.setUint32(at + 5, time % 2 ** 32);
}

function readTime(view: DataView, at: number): number {
  return view.getUint32(at + 1) * 2 ** 32 + view.getUint32(at + 5);
}
