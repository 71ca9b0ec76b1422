import { describe, expect, test } from "bun:test";
import { runGenerated } from "../../../runtime/core/generated.ts";

/** A maker that counts how often its text was compiled, by the identity of an inner literal. */
const adder = `const mark = marks\`\`; return { mark, add: (x) => x + by };`;

/** A tagged template's array is one per compiled text. */
const marks = (strings: TemplateStringsArray): TemplateStringsArray => strings;

interface Adder {
  readonly mark: TemplateStringsArray;
  add(x: number): number;
}

function make(text: string, by: number): Adder {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the text returns
  return runGenerated(text, { by, marks }) as Adder;
}

describe("runGenerated", () => {
  test("each result has its own values", () => {
    const [one, ten] = [make(adder, 1), make(adder, 10)];
    expect(one.add(5)).toBe(6);
    expect(ten.add(5)).toBe(15);
  });

  test("one text is compiled once, another by itself", () => {
    expect(make(adder, 1).mark).toBe(make(adder, 2).mark);
    expect(make(adder, 1).mark).not.toBe(make(`/* other */ ${adder}`, 1).mark);
  });

  test("after 256 other texts the first is compiled anew, and works", () => {
    const first = make(adder, 1);
    for (let i = 0; i < 256; i += 1) runGenerated(`return ${i};`);
    const again = make(adder, 3);
    expect(again.mark).not.toBe(first.mark);
    expect(again.add(4)).toBe(7);
  });
});
