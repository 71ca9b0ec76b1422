import { expect, test } from "bun:test";
import { joinKeys } from "../../../runtime/graph/join-keys.ts";

test("inputs that share their keys meet key by key (J1)", () => {
  expect(
    joinKeys("n", [
      ["A", "B"],
      ["B", "A"],
    ]),
  ).toEqual([
    { key: "A", inputKeys: ["A", "A"] },
    { key: "B", inputKeys: ["B", "B"] },
  ]);
});

test("one key meets every key of the others, joined by | (J2, J3)", () => {
  expect(joinKeys("n", [["BTC"], ["BTC", "ETH"]])).toEqual([
    { key: "BTC", inputKeys: ["BTC", "BTC"] },
    { key: "BTC|ETH", inputKeys: ["BTC", "ETH"] },
  ]);
  expect(joinKeys("n", [["A"], ["B"], ["C"]])).toEqual([
    { key: "A|B|C", inputKeys: ["A", "B", "C"] },
  ]);
});

test("two different sets of several keys are refused by name", () => {
  expect(() =>
    joinKeys("spread", [
      ["A", "B"],
      ["A", "C"],
    ]),
  ).toThrow(
    'Cannot join the inputs of "spread": one has the keys A,B, another A,C, wanted the same keys or a single one',
  );
});
