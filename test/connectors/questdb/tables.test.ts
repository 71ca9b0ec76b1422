import { expect, test } from "bun:test";
import { join } from "node:path";
import { columnsOf, createTableSql, rowsTable } from "../../../connectors/questdb/tables.ts";
import { kline } from "../../../runtime/index.ts";

test("create_table.sql is what the store applies", async () => {
  const path = join(import.meta.dir, "../../../connectors/questdb/create_table.sql");
  expect(await Bun.file(path).text()).toBe(createTableSql());
});

test("bars have a table by name, other schemas by hash, simulated rows by suffix", () => {
  expect(rowsTable("qmtl", { ...kline }, false)).toBe("qmtl_kline");
  expect(rowsTable("qmtl", kline, true)).toBe("qmtl_kline_simulated");
  const other = rowsTable("qmtl", { a: "f64", b: "f64" }, false);
  expect(other).toMatch(/^qmtl_[0-9a-f]{16}$/);
  expect(rowsTable("qmtl", { b: "f64", a: "f64" }, false)).not.toBe(other);
});

test("a field named like another column, in any case, gets its position as a suffix", () => {
  const schema = { Interval: "f64", close: "f64", CLOSE: "i64", close_2: "u32" } as const;
  expect(Object.entries(columnsOf(schema))).toEqual([
    ["Interval_0", "f64"],
    ["close", "f64"],
    ["CLOSE_2", "i64"],
    ["close_2_3", "u32"],
  ]);
});
