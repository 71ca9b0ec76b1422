import { expect, test } from "bun:test";
import { findFunction } from "../../../../runtime/graph/code/find-function.ts";

// Their places are looked for in this file's own text.
const folded = (value: number): number => {
  const dayMs: number = 24 * 60 * 60 * 1_000;
  return (value satisfies number) < dayMs ? 31_415 : -31_415;
};
const twins = [(value: number) => value * 27_182 + 1, (value: number) => value * 27_182 + 1];
const named = {
  first: (value: number) => value - 16_180,
  second: (value: number) => value - 16_180,
};

const placesOf = (run: (value: number) => number) =>
  findFunction(run).map(({ module, source }) => module.placeOf(source.node).replace(/^.*\//, ""));

async function lineOf(text: string): Promise<number> {
  const lines = (await Bun.file(import.meta.path).text()).split("\n");
  return lines.findIndex((line) => line.includes(text)) + 1;
}

test("a function is found where it is written, although what runs has no types and folded numbers", async () => {
  expect(placesOf(folded)).toEqual([`find-function.test.ts:${await lineOf("const folded")}`]);
});

test("the same text in two places is found in both, unless the name tells them apart", () => {
  const [one] = twins;
  expect(placesOf(one!)).toHaveLength(2);
  const [first, second] = [findFunction(named.first), findFunction(named.second)];
  expect([first.length, second.length]).toEqual([1, 1]);
  expect(first[0]?.source.node).not.toBe(second[0]?.source.node);
});

test("what is not written in a module is not found", () => {
  expect(findFunction(folded.bind(undefined))).toEqual([]);
  expect(findFunction(Math.abs)).toEqual([]);
  // oxlint-disable-next-line eslint/no-new-func, typescript/no-implied-eval -- it is made at run time
  expect(findFunction(new Function("value", "return value + 14142"))).toEqual([]);
});
