/**
 * Goal: a base and the deltas after it give back the state they were taken from, to the bit.
 * Method: random changes to the real structures; after each save the bytes are read into a second,
 * fresh one, which must look and go on like the first.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { KeyTable } from "../../../../runtime/codec/key-table.ts";
import { hasCode } from "../../../../runtime/index.ts";
import { ColumnStore } from "../../../../runtime/window/column-store.ts";
import { ByteReader, ByteWriter } from "../../../../runtime/worker/checkpoint/bytes.ts";
import {
  type CheckpointPart,
  FloatsPart,
  KeysPart,
  PendingPart,
  StorePart,
} from "../../../../runtime/worker/checkpoint/parts.ts";
import { PendingRows } from "../../../../runtime/worker/task/pending-rows.ts";

const writer = new ByteWriter();

/** What `part` writes, as bytes. */
function written(part: CheckpointPart, kind: "base" | "delta"): Uint8Array {
  writer.reset();
  if (kind === "base") part.beginBase();
  expect(part.writeDelta(writer)).toBe(true);
  return writer.finish();
}

/** Reads all of `pieces`, each to its end. */
function restore(part: CheckpointPart, pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) {
    const reader = new ByteReader(piece);
    part.read(reader);
    expect(reader.isAtEnd).toBe(true);
  }
}

function failureOf(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("it returned, wanted it to throw");
}

/** Everything that can be read of a store, as bits. */
function seen(store: ColumnStore): unknown {
  return Array.from({ length: store.slots }, (_, slot) => {
    const from = slot * store.slotSize + store.ends[slot]! - store.rows[slot]!;
    const columns = Array.from({ length: store.columnCount }, (__, column) => {
      const at = from + column * store.stride;
      return Buffer.from(store.values.slice(at, at + store.rows[slot]!).buffer).toString("hex");
    });
    return [store.rows[slot], store.stamps[slot], store.closes[slot], columns];
  });
}

/** One change of a store; `insert` is a late row, `save` writes a base or a delta. */
type Change =
  | { readonly kind: "append"; readonly slot: number; readonly count: number }
  | { readonly kind: "insert"; readonly slot: number; readonly back: number }
  | { readonly kind: "clear"; readonly slot: number }
  | { readonly kind: "save"; readonly form: "base" | "delta" };

const slots = 3;
const slot = fc.nat(slots - 1);
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("append" as const), slot, count: fc.nat(40) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("insert" as const), slot, back: fc.nat(60) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const), slot }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("save" as const),
      form: fc.constantFrom("delta" as const, "delta" as const, "delta" as const, "base" as const),
    }),
  },
);

const oddValues = [Number.NaN, -0, 0, 1 / 3, -1e308, 5e-324, 2 ** 53];

/** Makes the change; `clock` gives rising times with gaps, so that a late row finds room. */
function apply(store: ColumnStore, one: Change, clock: { ts: number }): void {
  if (one.kind === "save") return;
  if (one.kind === "clear") {
    store.clear(one.slot);
    return;
  }
  const times =
    one.kind === "append"
      ? Array.from({ length: one.count }, () => (clock.ts += 10))
      : [store.newestTs(one.slot) - one.back];
  for (const ts of times) {
    const at = one.kind === "append" ? store.append(one.slot) : store.insert(one.slot, ts);
    if (at < 0 || !Number.isFinite(ts)) return;
    store.values[at] = ts;
    for (let column = 1; column < store.columnCount; column += 1) {
      store.values[at + column * store.stride] = oddValues[(clock.ts + column) % 7] ?? ts * column;
    }
    if (one.kind === "append") store.closes[one.slot] = ts + 10;
  }
}

test("a store comes back from base and deltas, to the bit, and goes on alike", () => {
  const property = fc.property(
    fc.constantFrom(1, 2, 7, 30),
    fc.array(change, { maxLength: 60, size: "max" }),
    (period, changes) => {
      const store = new ColumnStore(period, 2, slots);
      const part = new StorePart(store);
      const clock = { ts: 0 };
      let pieces: Uint8Array[] = [];
      for (const one of [...changes, { kind: "save", form: "delta" } as const]) {
        apply(store, one, clock);
        if (one.kind !== "save") continue;
        pieces = [...(one.form === "base" ? [] : pieces), written(part, one.form)];
        const copy = new ColumnStore(period, 2, slots);
        const copyPart = new StorePart(copy);
        restore(copyPart, pieces);
        expect(seen(copy)).toEqual(seen(store));
        // The copy's own deltas begin where it was restored, and its rows go on like the first's.
        expect(written(copyPart, "delta")).toEqual(pieceOfNothing());
        const on = { kind: "append", slot: 0, count: period + 3 } as const;
        const twin = new ColumnStore(period, 2, slots);
        apply(copy, on, { ts: clock.ts });
        restore(new StorePart(twin), [...pieces, written(copyPart, "delta")]);
        expect(seen(twin)).toEqual(seen(copy));
      }
    },
  );
  fc.assert(property, { numRuns: 150 });
});

/** A part's delta when nothing has changed. */
function pieceOfNothing(): Uint8Array {
  const none = new ByteWriter();
  none.u32(0);
  return none.finish();
}

test("a delta holds the new rows only, at most the period, and nothing of slots at rest", () => {
  const store = new ColumnStore(100, 1, 50);
  const part = new StorePart(store);
  const clock = { ts: 0 };
  // Header, count and (so that floats lie at multiples of 8) padding; five floats before the rows.
  const bytesOf = (rows: number): number => 8 + 4 + (rows < 0 ? 0 : 4 + (5 + rows * 2) * 8);
  apply(store, { kind: "append", slot: 7, count: 60 }, clock);
  expect(written(part, "delta").length).toBe(bytesOf(60));
  expect(written(part, "delta").length).toBe(bytesOf(-1));
  apply(store, { kind: "append", slot: 7, count: 3 }, clock);
  expect(written(part, "delta").length).toBe(bytesOf(3));
  apply(store, { kind: "append", slot: 7, count: 5_000 }, clock);
  expect(written(part, "delta").length).toBe(bytesOf(100));
  expect(written(part, "base").length).toBe(bytesOf(100));
});

test("a delta that does not follow on what was read is CHECKPOINT_CORRUPT", () => {
  const store = new ColumnStore(10, 1, 1);
  const part = new StorePart(store);
  const clock = { ts: 0 };
  const pieces = [4, 3, 2].map((count) => {
    apply(store, { kind: "append", slot: 0, count }, clock);
    return written(part, "delta");
  });
  const without = new StorePart(new ColumnStore(10, 1, 1));
  const error = failureOf(() => restore(without, [pieces[0]!, pieces[2]!]));
  expect(hasCode(error, "CHECKPOINT_CORRUPT")).toBe(true);
  const twice = new StorePart(new ColumnStore(10, 1, 1));
  const again = failureOf(() => restore(twice, [pieces[0]!, pieces[1]!, pieces[1]!]));
  expect(hasCode(again, "CHECKPOINT_CORRUPT")).toBe(true);
});

test("state of another shape is CHECKPOINT_CORRUPT", () => {
  const store = new ColumnStore(10, 1, 5);
  apply(store, { kind: "append", slot: 4, count: 8 }, { ts: 0 });
  const piece = written(new StorePart(store), "base");
  for (const other of [
    new ColumnStore(10, 1, 4),
    new ColumnStore(3, 1, 5),
    new ColumnStore(10, 2, 5),
  ]) {
    const error = failureOf(() => restore(new StorePart(other), [piece]));
    expect(hasCode(error, "CHECKPOINT_CORRUPT")).toBe(true);
  }
  const floats = written(FloatsPart.ofArray(new Float64Array(9).fill(1)), "base");
  const fewer = failureOf(() => restore(FloatsPart.ofArray(new Float64Array(8)), [floats]));
  expect(hasCode(fewer, "CHECKPOINT_CORRUPT")).toBe(true);
});

test("floats by slot come back bit for bit, and a delta holds the slots that changed", () => {
  const value = fc.oneof(fc.constantFrom(...oddValues, Number.NEGATIVE_INFINITY), fc.double());
  const step = fc.record({ slot: fc.nat(9), at: fc.nat(2), value, isBase: fc.boolean() });
  const make = (): { states: Float64Array[]; part: FloatsPart } => {
    const states: Float64Array[] = [];
    const open = (at: number): Float64Array =>
      (states[at] ??= new Float64Array(3).fill(Number.NaN));
    return { states, part: new FloatsPart(10, 3, (at) => states[at], open) };
  };
  const property = fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
    const first = make();
    let pieces: Uint8Array[] = [];
    for (const one of steps) {
      const state = (first.states[one.slot] ??= new Float64Array(3).fill(Number.NaN));
      const isNew = !Object.is(state[one.at], one.value);
      state[one.at] = one.value;
      const piece = written(first.part, one.isBase ? "base" : "delta");
      pieces = [...(one.isBase ? [] : pieces), piece];
      const changed = new ByteReader(piece).u32();
      if (!one.isBase && pieces.length > 1 && isNew) expect(changed).toBe(1);
      const copy = make();
      restore(copy.part, pieces);
      expect(copy.states.map((s) => Buffer.from(s.buffer).toString("hex"))).toEqual(
        first.states.map((s) => Buffer.from(s.buffer).toString("hex")),
      );
      expect(written(copy.part, "delta")).toEqual(pieceOfNothing());
    }
  });
  fc.assert(property, { numRuns: 60 });
});

test("floats of one array are saved although they never changed from their first value", () => {
  const values = new Float64Array(4).fill(Number.NEGATIVE_INFINITY);
  const piece = written(FloatsPart.ofArray(values), "delta");
  const copy = new Float64Array(4);
  restore(FloatsPart.ofArray(copy), [piece]);
  expect([...copy]).toEqual([...values]);
});

test("keys come back in their slots; a key in another slot is CHECKPOINT_CORRUPT", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const add = (table: KeyTable, name: string): number =>
    table.slotOf(bytes(name), 0, bytes(name).length);
  const keys = new KeyTable({ keysMax: 8 });
  const part = new KeysPart(keys);
  for (const name of ["BTCUSDT", "币安"]) add(keys, name);
  const base = written(part, "base");
  add(keys, "ETHUSDT");
  const delta = written(part, "delta");
  const copy = new KeyTable({ keysMax: 8 });
  restore(new KeysPart(copy), [base, delta]);
  expect(["BTCUSDT", "币安", "ETHUSDT", "SOLUSDT"].map((name) => add(copy, name))).toEqual([
    0, 1, 2, 3,
  ]);
  const other = new KeyTable({ keysMax: 8 });
  add(other, "ADAUSDT");
  const error = failureOf(() => restore(new KeysPart(other), [base]));
  expect(hasCode(error, "CHECKPOINT_CORRUPT")).toBe(true);
  const small = new KeyTable({ keysMax: 1 });
  const full = failureOf(() => restore(new KeysPart(small), [base]));
  expect(hasCode(full, "CHECKPOINT_CORRUPT")).toBe(true);
});

test("rows that wait for a join come back in order; those that are gone do not", () => {
  const property = fc.property(
    fc.array(fc.tuple(fc.nat(1), fc.integer({ min: -3, max: 20 })), { maxLength: 60, size: "max" }),
    (steps) => {
      const make = (): PendingRows[] => [new PendingRows(2), new PendingRows(2)];
      const rows = make();
      const part = new PendingPart(rows);
      const copy = make();
      const copyPart = new PendingPart(copy);
      const room = new Float64Array(2);
      for (const [at, close] of steps) {
        if (close < 0 && rows[at]!.count > 0) rows[at]!.shift(room, 0, 1);
        else rows[at]!.push(close, Float64Array.of(close * 2, Number.NaN), 0, 1);
        restore(copyPart, [written(part, "delta")]);
        const list = (all: readonly PendingRows[]): unknown =>
          all.map((one) => {
            const values: number[] = [];
            one.each((from, index, width) => values.push(...from.subarray(index, index + width)));
            return values;
          });
        expect(list(copy)).toEqual(list(rows));
      }
    },
  );
  fc.assert(property, { numRuns: 60 });
});

test("rows that wait on are not written again", () => {
  const rows = [new PendingRows(2), new PendingRows(2)];
  const part = new PendingPart(rows);
  for (let close = 0; close < 1_000; close += 1) rows[0]!.push(close, new Float64Array(2), 0, 1);
  expect(written(part, "delta").length).toBeGreaterThan(1_000 * 24);
  rows[1]!.push(1, new Float64Array(2), 0, 1);
  expect(written(part, "delta").length).toBeLessThan(64);
  rows[0]!.push(1_000, new Float64Array(2), 0, 1);
  expect(written(part, "delta").length).toBeGreaterThan(1_000 * 24);
});

test("a base in pieces of any size gives all parts back, also when it is read twice", () => {
  const make = () => {
    const keys = new KeyTable({ keysMax: 64 });
    const store = new ColumnStore(5, 2, 40);
    const pending = [new PendingRows(2), new PendingRows(2)];
    const floats = new Float64Array(40).fill(7);
    const ofArray = FloatsPart.ofArray(floats);
    const parts = [new KeysPart(keys), new StorePart(store), ofArray, new PendingPart(pending)];
    return { keys, store, pending, floats, parts };
  };
  const { keys, store, pending, floats, parts } = make();
  for (let i = 0; i < 40; i += 1) {
    keys.slotOf(Uint8Array.of(65, i), 0, 2);
    apply(store, { kind: "append", slot: i, count: i % 7 }, { ts: i });
    floats[i] = i / 3;
    for (const rows of pending) rows.push(i, Float64Array.of(i * 2), 0, 1);
  }
  const pieceCounts = [64, 256, 1_024, Number.POSITIVE_INFINITY].map((bytesMax) => {
    const pieces: Uint8Array[] = [];
    for (const part of parts) part.beginBase();
    for (let isWhole = false; !isWhole; ) {
      writer.reset(bytesMax);
      isWhole = parts.map((part) => part.writeDelta(writer)).every(Boolean);
      pieces.push(writer.finish());
    }
    const copy = make();
    // Half of it before it is read from the start: what a store that was lost leaves behind.
    for (const piece of [...pieces.slice(0, pieces.length / 2), ...pieces]) {
      const reader = new ByteReader(piece);
      for (const part of copy.parts) part.read(reader);
      expect(reader.isAtEnd).toBe(true);
    }
    const plain = (one: ReturnType<typeof make>): unknown => [
      one.keys.count,
      seen(one.store),
      one.floats,
      one.pending.map(({ count }) => count),
    ];
    expect(plain(copy)).toEqual(plain({ keys, store, pending, floats, parts }));
    return pieces.length;
  });
  expect(pieceCounts.toSorted((a, b) => b - a)).toEqual(pieceCounts);
  expect(pieceCounts[0]).toBeGreaterThan(40);
  expect(pieceCounts[3]).toBe(1);
});
