import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { KeyTable } from "../../../runtime/codec/key-table.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

test("slotOf() numbers keys in the order they are met and finds them again (K1)", () => {
  const keys = new KeyTable({ keysMax: 10 });
  const bytes = encode("xxBTCUSDTETHUSDTyy");
  expect(keys.slotOf(bytes, 2, 7)).toBe(0);
  expect(keys.slotOf(bytes, 9, 7)).toBe(1);
  expect(keys.slotOf(encode("BTCUSDT"), 0, 7)).toBe(0);
  expect(keys.slotOf(bytes, 0, 0)).toBe(2);
  expect(keys.textOf(1)).toBe("ETHUSDT");
  expect(keys.bytesOf(0)).toEqual(encode("BTCUSDT"));
  expect(keys.count).toBe(3);
});

test("slotOf() gives -1 for a new key past keysMax and for one past keyBytesMax", () => {
  const keys = new KeyTable({ keysMax: 2, keyBytesMax: 4 });
  expect(keys.slotOf(encode("abcde"), 0, 5)).toBe(-1);
  expect(keys.slotOf(encode("abcd"), 0, 4)).toBe(0);
  expect(keys.slotOf(encode("b"), 0, 1)).toBe(1);
  expect(keys.slotOf(encode("c"), 0, 1)).toBe(-1);
  expect(keys.slotOf(encode("b"), 0, 1)).toBe(1);
  expect(keys.count).toBe(2);
});

test("a table of listed keys has them in their order, long ones too, and takes no others", () => {
  const long = "K".repeat(3_000);
  const keys = KeyTable.of(["A", long, "B"]);
  expect([0, 1, 2].map((slot) => keys.textOf(slot))).toEqual(["A", long, "B"]);
  expect(keys.slotOf(encode(long), 0, 3_000)).toBe(1);
  expect(keys.slotOf(encode("C"), 0, 1)).toBe(-1);
});

test("slotOf() keeps 20,000 keys apart through every growth", () => {
  const keys = new KeyTable({ keysMax: 20_000 });
  for (let round = 0; round < 2; round += 1) {
    for (let i = 0; i < 20_000; i += 1) {
      const key = encode(`SYM${i}USDT`);
      expect(keys.slotOf(key, 0, key.length)).toBe(i);
    }
  }
  expect(keys.textOf(12_345)).toBe("SYM12345USDT");
  expect(keys.bytesOf(3)).toEqual(encode("SYM3USDT"));
});

// Goal: K2 for any bytes. Method: a Map keyed by the bytes' text is the model.
test("slotOf() gives what a map by bytes gives", () => {
  const key = fc.uint8Array({ maxLength: 9, max: 3 });
  fc.assert(
    fc.property(fc.array(key, { maxLength: 300 }), (list) => {
      const keys = new KeyTable({ keysMax: 1_000 });
      const model = new Map<string, number>();
      for (const bytes of list) {
        const text = bytes.join(",");
        if (!model.has(text)) model.set(text, model.size);
        expect(keys.slotOf(bytes, 0, bytes.length)).toBe(model.get(text)!);
      }
    }),
  );
});

test("a key table refuses limits it cannot hold", () => {
  expect(() => new KeyTable({ keysMax: 0 })).toThrow("keysMax");
  expect(() => new KeyTable({ keysMax: 1, keyBytesMax: 2 ** 17 })).toThrow("keyBytesMax");
  expect(() => new KeyTable({ keysMax: 2 ** 24, keyBytesMax: 2 ** 16 })).toThrow("×");
});
