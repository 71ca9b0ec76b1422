import { expect, test } from "bun:test";
import { AssertionError, assert } from "../../../runtime/core/assert.ts";

test("assert() lets a true condition pass and narrows the type", () => {
  const value = JSON.parse("5") as number | string;
  assert(typeof value === "number", "value is a number");
  expect(value + 1).toBe(6);
});

test("assert() throws an AssertionError with the message as it is", () => {
  let caught: unknown;
  try {
    assert(false, "W2: event time never decreases");
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(AssertionError);
  expect(caught).toMatchObject({
    name: "AssertionError",
    message: "W2: event time never decreases",
  });
});
