import { expect, test } from "bun:test";
import { Interval } from "../../../runtime/core/interval.ts";
import { ColumnStore } from "../../../runtime/window/column-store.ts";
import { openWindow } from "../../../runtime/window/window-class.ts";

/** A window over one row whose fields are 1, 2, 3, … */
function windowOf(fields: readonly string[]) {
  const store = new ColumnStore(1, fields.length, 1);
  const at = store.append(0);
  for (const i of fields.keys()) store.values[at + (i + 1) * store.stride] = i + 1;
  const interval = Interval.of("1m");
  const window = openWindow({ store, fields, lookback: 1, interval, label: "input" });
  window.bind(0);
  return window;
}

test("windows of equal fields share a class, others do not", () => {
  const [first, second, other] = [
    ["a", "b"],
    ["a", "b"],
    ["b", "a"],
  ].map(windowOf);
  expect(first!.constructor).toBe(second!.constructor);
  expect(first!.constructor).not.toBe(other!.constructor);
  expect([first!.value("a"), other!.value("a")]).toEqual([1, 2]);
});

test("a field may be called as anything else is, and has a value of its own", () => {
  const fields = ["view1", "column", "length", "constructor", "__proto__", 'a"b', "default"];
  const window = windowOf(fields);
  expect(fields.map((field) => window.value(field))).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(fields.map((field) => window.column(field).last)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(() => window.column("view2")).toThrow("it has the fields view1");
});
