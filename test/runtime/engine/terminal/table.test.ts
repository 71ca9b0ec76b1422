import { expect, test } from "bun:test";
import { newTable, right, timeText } from "../../../../runtime/engine/terminal/table.ts";

test("a table has its heads in the first row and numbers at the right edge of their cell", () => {
  const table = newTable(["name", "rows"]);
  table.push(["a", right("7")], ["longer", right("1,234")]);
  const lines = Bun.stripANSI(table.toString())
    .split("\n")
    .filter((line) => line.includes("│"))
    .map((line) => line.split("│").slice(1, -1));
  expect(lines).toEqual([
    [" name   ", " rows  "],
    [" a      ", "     7 "],
    [" longer ", " 1,234 "],
  ]);
});

test("a time has its seconds only where it has any", () => {
  expect(timeText(Date.UTC(2025, 0, 1, 9, 30))).toBe("2025-01-01 09:30");
  expect(timeText(Date.UTC(2025, 0, 1, 9, 30, 5))).toBe("2025-01-01 09:30:05");
});
