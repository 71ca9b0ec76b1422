import { expect, test } from "bun:test";
import { addressText, parseAddress } from "../../../../connectors/kafka/wire/address.ts";

test("parseAddress() reads what addressText() writes", () => {
  for (const text of ["localhost:9092", "10.0.0.1:1", "[fe80::1]:65535"]) {
    const address = parseAddress(text);
    expect(address === undefined ? undefined : addressText(address)).toBe(text);
  }
});

test("parseAddress() refuses what is not host:port", () => {
  for (const text of ["", "a", "a:", ":1", "a:0", "a:65536", "::1:9", "a b:1", "a:1:2", "a:1x"]) {
    expect(parseAddress(text)).toBeUndefined();
  }
});
