import { expect, test } from "bun:test";
import { checkVersions } from "../../../../connectors/kafka/session/handshake.ts";

const kafka39 = [
  { key: 0, min: 0, max: 11 },
  { key: 1, min: 0, max: 17 },
  { key: 2, min: 0, max: 9 },
  { key: 3, min: 0, max: 12 },
  { key: 22, min: 0, max: 5 },
];

test("checkVersions() accepts a broker that speaks all we need", () => {
  expect(() => checkVersions(kafka39)).not.toThrow();
});

test("checkVersions() names the request that a broker does not speak, and its versions", () => {
  const without = (key: number): typeof kafka39 => kafka39.filter((range) => range.key !== key);
  const failureOf = (ranges: typeof kafka39): unknown => {
    try {
      checkVersions(ranges);
    } catch (error) {
      return error;
    }
    return undefined;
  };
  expect(failureOf([...without(1), { key: 1, min: 12, max: 20 }])).toMatchObject({
    code: "TRANSPORT_REJECTED",
    details: { reason: "API_VERSION", api: "Fetch", wanted: 11, min: 12, max: 20 },
  });
  expect(failureOf([...without(0), { key: 0, min: 0, max: 7 }])).toMatchObject({
    details: { api: "Produce", wanted: 8, max: 7 },
  });
  expect(failureOf(without(22))).toMatchObject({ details: { api: "InitProducerId", max: -1 } });
});
