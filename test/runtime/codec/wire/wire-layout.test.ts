import { expect, test } from "bun:test";
import { WireLayout } from "../../../../runtime/codec/wire/wire-layout.ts";
import { every } from "./wire-rows.ts";

test("WireLayout.of() puts each field at its constant place", () => {
  const layout = WireLayout.of(every);
  expect(layout.fields.map(({ at }) => at)).toEqual([1, 10, 19, 28, 37, 42]);
  expect(layout.byteLength).toBe(43);
  const wide = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`f${i}`, "f64" as const]));
  expect(WireLayout.of(wide).headerBytes).toBe(3);
  expect(WireLayout.of(wide).byteLength).toBe(3 + 16 * 9);
  expect(() => WireLayout.of({})).toThrow("0 fields");
});
