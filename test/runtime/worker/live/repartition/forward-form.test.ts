import { expect, test } from "bun:test";
import { ColumnStore } from "../../../../../runtime/window/column-store.ts";
import {
  ForwardForm,
  ForwardHead,
  forwardMarkBytes,
  inputMarkOf,
  writeForwardMark,
} from "../../../../../runtime/worker/live/repartition/forward-form.ts";
import { fixed } from "../log-bytes.ts";

/** A store with one row. */
function storeOf(row: readonly number[]): { store: ColumnStore; at: number } {
  const store = new ColumnStore(2, row.length - 1, 1);
  const at = store.append(0);
  for (const [i, value] of row.entries()) store.values[at + i * store.stride] = value;
  return { store, at };
}

function written(form: ForwardForm, row: readonly number[]): Uint8Array {
  const { store, at } = storeOf(row);
  const bytes = new Uint8Array(form.load(store, at, 0));
  form.write(new DataView(bytes.buffer), 0, row[0]!);
  return bytes;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer);

test("a record is ts, source, input, seq and the fields, as any MessagePack reader sees them", () => {
  const form = new ForwardForm({ close: "f64", count: "u32" }, 7, 1);
  const bytes = written(form, [1_700_000_000_000, 2.5, 9]);
  expect(bytes).toEqual(fixed("wwwfw", [1_700_000_000_000, 7, 1, 0, 2.5, 9]));
});

for (const row of [
  [60_000, 1.25, 4],
  [60_000, Number.NaN, Number.NaN],
]) {
  test(`a record comes back as it was: ${row.join(" ")}`, () => {
    const form = new ForwardForm({ close: "f64", count: "u32" }, 7, 1);
    const bytes = written(form, row);
    const head = new ForwardHead();
    expect(head.read(viewOf(bytes), 0, bytes.length)).toBe(true);
    expect(head).toMatchObject({ isMark: false, time: 60_000, source: 7, input: 1 });
    expect(form.read(viewOf(bytes), bytes, 0, bytes.length)).toBe(true);
    const { store, at } = storeOf([0, 0, 0]);
    form.copyTo(store, at);
    expect(row.map((_, i) => store.values[at + i * store.stride]!)).toEqual(row);
    expect(form.seq).toBe(0);
  });
}

test("a record of many fields has a longer head and is read all the same", () => {
  const schema = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`f${i}`, "f64" as const]),
  );
  const form = new ForwardForm(schema, 4_294_967_295, 3);
  const bytes = written(form, [5, ...Array.from({ length: 20 }, (_, i) => i / 4)]);
  const head = new ForwardHead();
  expect(head.read(viewOf(bytes), 0, bytes.length)).toBe(true);
  expect(head).toMatchObject({ time: 5, source: 4_294_967_295, input: 3 });
  expect(form.read(viewOf(bytes), bytes, 0, bytes.length)).toBe(true);
});

test("a mark is T, source and input", () => {
  const bytes = new Uint8Array(forwardMarkBytes);
  writeForwardMark(viewOf(bytes), 0, 1_700_000_059_999, 7, 2);
  expect(bytes).toEqual(new Uint8Array(fixed("ww", [1_700_000_059_999, 7, 2])));
  const head = new ForwardHead();
  expect(head.read(viewOf(bytes), 0, bytes.length)).toBe(true);
  expect(head).toMatchObject({ isMark: true, time: 1_700_000_059_999, source: 7, input: 2 });
});

test("what is neither is refused, and nothing is read beyond it", () => {
  const head = new ForwardHead();
  for (let length = 0; length <= 64; length += 1) {
    for (const fill of [0, 0x93, 0x9f, 0xdc, 0xcf, 0xce, 0xff]) {
      const bytes = new Uint8Array(length).fill(fill);
      expect(head.read(viewOf(bytes), 0, length)).toBe(false);
    }
  }
});

test("a mark of an input topic is `[T u64, task u32]` and nothing else", () => {
  const mark = fixed("w", [1_700_000_000_000, 3]);
  expect(inputMarkOf(viewOf(mark), 0, mark.length)).toBe(1_700_000_000_000);
  for (const other of [fixed("f", [1, 2]), fixed("ww", [1, 2, 3]), fixed("", [1])]) {
    expect(inputMarkOf(viewOf(other), 0, other.length)).toBeNaN();
  }
  expect(inputMarkOf(viewOf(mark), 0, -1)).toBeNaN();
});
