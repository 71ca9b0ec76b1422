import { expect, test } from "bun:test";
import { Declaration, hashOf } from "../../../../runtime/graph/code/declaration-hash.ts";

/** A declaration whose form is `parts` with what `to` gives in the gaps. */
function made(parts: readonly string[], to: () => readonly Declaration[] = () => []): Declaration {
  return new Declaration("", false, () => ({ parts, references: to() }));
}

const hash = (declaration: Declaration) => hashOf(declaration, []);

test("equal forms have equal hashes, whatever the declarations are called", () => {
  const one = new Declaration("one", false, () => ({ parts: ["1"], references: [] }));
  const two = new Declaration("two", true, () => ({ parts: ["1"], references: [] }));
  expect(hash(one)).toBe(hash(two));
  expect(hash(one)).toMatch(/^[0-9a-f]{32}$/);
  expect(hash(made(["2"]))).not.toBe(hash(one));
});

test("a change far below changes every hash above it", () => {
  const chain = (deepest: string) => {
    const low = made([deepest]);
    const middle = made(["m", ""], () => [low]);
    return made(["t", ""], () => [middle]);
  };
  expect(hash(chain("a"))).toBe(hash(chain("a")));
  expect(hash(chain("a"))).not.toBe(hash(chain("b")));
});

/** `even` calls `odd` calls `even`. */
function pair(even: string, odd: string): readonly [Declaration, Declaration] {
  const first: Declaration = made([even, "", "."], () => [first, second]);
  const second: Declaration = made([odd, "."], () => [first]);
  return [first, second];
}

test("declarations that call each other are hashed together, from whichever the walk begins", () => {
  const [even, odd] = pair("e", "o");
  const [evenToo, oddToo] = pair("e", "o");
  // The second pair is hashed from its other end.
  expect(hash(oddToo)).toBe(hash(odd));
  expect(hash(evenToo)).toBe(hash(even));
  expect(hash(even)).not.toBe(hash(odd));
  expect(hash(pair("e", "x")[0])).not.toBe(hash(even));
});

test("what refuses its form names the way to it", () => {
  const low = new Declaration("low", false, () => {
    throw new Error("no form");
  });
  const middle = new Declaration("middle", false, () => ({ parts: ["", ""], references: [low] }));
  const path: Declaration[] = [];
  expect(() => hashOf(middle, path)).toThrow("no form");
  expect(path.map(({ name }) => name)).toEqual(["middle", "low"]);
});
