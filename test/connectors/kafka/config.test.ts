import { expect, test } from "bun:test";
import { connectors } from "../../../connectors/index.ts";
import { parseKafkaUrl } from "../../../connectors/kafka/config.ts";

/** What the refusal of `url` says. */
function refusal(url: string): string {
  try {
    parseKafkaUrl(url);
  } catch (error) {
    expect(error).toMatchObject({ code: "CONFIG_INVALID" });
    return (error as Error).message;
  }
  throw new Error(`"${url}" was accepted`);
}

test("a URL names one broker or several, also by IPv6", () => {
  const { seeds, isolation, wire } = parseKafkaUrl("kafka://a.test:1,127.0.0.1:9092,[::1]:3");
  expect(seeds).toEqual([
    { host: "a.test", port: 1 },
    { host: "127.0.0.1", port: 9_092 },
    { host: "::1", port: 3 },
  ]);
  expect(isolation).toBe("committed");
  expect(wire).toMatchObject({ clientId: "qmtl", stallMsMax: 5_000, tls: undefined });
});

test("user and password are percent-encoded, or the password is in the environment", () => {
  const inUrl = parseKafkaUrl("kafka://me%40x:p%3A%2F%40@h:1?sasl=scram-sha-512").wire.login;
  expect(inUrl).toEqual({ mechanism: "scram-sha-512", user: "me@x", password: "p:/@" });
  process.env["QMTL_TEST_SECRET"] = "s";
  const inEnv = parseKafkaUrl("kafka://me@h:1?sasl=plain&passwordEnv=QMTL_TEST_SECRET").wire.login;
  expect(inEnv).toEqual({ mechanism: "plain", user: "me", password: "s" });
});

test("every fault of a URL is named at once, and the password never", () => {
  const text = refusal("kafka://me:hunter2@h:0,x?colour=red&stallMsMax=soon&tls=maybe");
  for (const part of ['"h:0"', '"x"', "colour", "stallMsMax", "tls", "kafka://me:***@"]) {
    expect(text).toContain(part);
  }
  expect(text).not.toContain("hunter2");
});

test("settings that need each other are refused alone", () => {
  expect(refusal("kafka://h:1?tlsCa=/x")).toContain("need tls=true");
  expect(refusal("kafka://h:1?tls=true&tlsCert=/x")).toContain("go together");
  expect(refusal("kafka://h:1?tls=true&tlsCa=/does/not/exist")).toContain("tlsCa: ENOENT");
  expect(refusal("kafka://me:x@h:1")).toContain("sasl=");
  expect(refusal("kafka://h:1?sasl=plain")).toContain("user:password@");
  expect(refusal("kafka://me@h:1?sasl=plain&passwordEnv=QMTL_NONE")).toContain("QMTL_NONE");
  expect(refusal("kafka://%E0:x@h:1?sasl=plain")).toContain("percent-encoded");
  expect(refusal("kafka:h:1")).toContain("no URL of brokers");
});

test("kafka: is a transport and nothing else", () => {
  const url = "kafka://127.0.0.1:9092";
  const { module, export: name } = connectors.refOf("transport", url);
  expect(module).toEndWith("/connectors/kafka/index.ts");
  expect(name).toBe("openTransport");
  expect(() => connectors.refOf("state", url)).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID" }),
  );
});
