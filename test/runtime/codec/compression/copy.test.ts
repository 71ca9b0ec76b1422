import { expect, test } from "bun:test";
import {
  copyLiteral,
  copyMatch,
  matchEnd,
  matchSlot,
  matchSlots,
} from "../../../../runtime/codec/compression/copy.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("copyLiteral() copies so many bytes and no others, short or long", () => {
  const source = bytesOf("abcdefghijklmnopqrstuvwxyz0123456789");
  for (const count of [0, 3, 24, 25, 30]) {
    const target = bytesOf(".".repeat(40));
    copyLiteral(source, 2, target, 4, count);
    const copied = textOf(source).slice(2, 2 + count);
    expect(textOf(target)).toBe(`....${copied}`.padEnd(40, "."));
  }
});

test("copyMatch() repeats what it has just written where the ranges overlap", () => {
  const bytes = bytesOf("ab...............................");
  copyMatch(bytes, 2, 2, 7);
  expect(textOf(bytes).slice(0, 10)).toBe("ababababa.");
  const one = bytesOf(`x${".".repeat(39)}`);
  copyMatch(one, 1, 1, 30);
  expect(textOf(one)).toBe("x".repeat(31).padEnd(40, "."));
  const far = bytesOf(`${"0123456789".repeat(3)}${".".repeat(34)}`);
  copyMatch(far, 30, 30, 28);
  expect(textOf(far).slice(30)).toBe("0123456789012345678901234567......");
});

test("matchEnd() is where two runs differ, or the end", () => {
  const bytes = bytesOf("abcdXabcdYabcd");
  expect(matchEnd(bytes, 5, 0, bytes.length)).toBe(9);
  expect(matchEnd(bytes, 10, 0, bytes.length)).toBe(14);
  expect(matchEnd(bytes, 10, 0, 12)).toBe(12);
  expect(matchEnd(bytes, 4, 0, bytes.length)).toBe(4);
});

test("matchSlot() depends on the four bytes at a place alone, and is in the table", () => {
  const bytes = bytesOf("abcd1abcd2\u00ff\u00ff\u00ff");
  expect(matchSlot(bytes, 5)).toBe(matchSlot(bytes, 0));
  for (let at = 0; at + 4 <= bytes.length; at += 1) {
    expect(matchSlot(bytes, at)).toBeWithin(0, matchSlots);
  }
});
