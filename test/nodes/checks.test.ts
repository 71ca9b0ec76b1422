import { expect, test } from "bun:test";
import { checkLookback, checkName, checkParams, checkTags } from "../../nodes/checks.ts";
import { type Params } from "../../nodes/index.ts";

test("tags come back sorted; a bad one, one too many or a repetition is named", () => {
  expect(checkTags(["spot", "btc", "v:1.2"], "it")).toEqual(["btc", "spot", "v:1.2"]);
  expect(checkTags(undefined, "it")).toEqual([]);
  expect(() => checkTags(["a b"], 'node "x"')).toThrow(
    'Cannot make node "x": it has the tag "a b", wanted 1 to 100 of letters, digits, _ . : -',
  );
  expect(() => checkTags(["a", "a"], "it")).toThrow("it has 2 tags, wanted at most 64, each once");
  const many = Array.from({ length: 65 }, (_, i) => `t${i}`);
  expect(checkTags(many.slice(1), "it")).toHaveLength(64);
  expect(() => checkTags(many, "it")).toThrow("it has 65 tags");
});

test("a name has 1 to 200 characters, or is not given", () => {
  for (const name of [undefined, "a", "n".repeat(200)])
    expect(() => checkName(name, "it")).not.toThrow();
  expect(() => checkName("", "it")).toThrow("its name has 0 characters, wanted 1 to 200");
  expect(() => checkName("n".repeat(201), "it")).toThrow("201 characters");
});

test("params are plain data, and none is as good as an empty object", () => {
  expect(checkParams({ n: 3, list: ["a", { deep: null }] }, "it")).toEqual({
    n: 3,
    list: ["a", { deep: null }],
  });
  expect(checkParams(undefined, "it")).toEqual({});
  const dated = { when: new Date(0) } as unknown as Params;
  expect(() => checkParams(dated, "it")).toThrow(/when.*wanted numbers, strings, booleans/);
});

test("a lookback is an integer from 1 to a million, or is not given", () => {
  expect([1, 1_000_000, undefined].map((lookback) => checkLookback(lookback, "it"))).toEqual([
    1,
    1_000_000,
    undefined,
  ]);
  for (const lookback of [0, -1, 1.5, Number.NaN, 1_000_001]) {
    expect(() => checkLookback(lookback, "it")).toThrow(`its lookback is ${lookback}, wanted`);
  }
});
