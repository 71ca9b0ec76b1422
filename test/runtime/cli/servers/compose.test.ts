import { expect, test } from "bun:test";
import { parse } from "yaml";
import { kafkaVersions } from "../../../../runtime/cli/servers/kafka/kafka.ts";
import { neo4jVersion } from "../../../../runtime/cli/servers/neo4j.ts";
import { questdbVersion } from "../../../../runtime/cli/servers/questdb.ts";

interface Service {
  readonly image: string;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
}

const root = new URL("../../../../", import.meta.url);
const text = await Bun.file(new URL("compose.yaml", root)).text();
const { services } = parse(text) as { readonly services: Readonly<Record<string, Service>> };

test("compose.yaml has the versions that `qmtl up` starts", () => {
  expect(services["kafka"]?.image).toBe(`apache/kafka:${kafkaVersions[0]}`);
  expect(services["questdb"]?.image).toBe(`questdb/questdb:${questdbVersion}`);
  expect(services["neo4j"]?.image).toBe(`neo4j:${neo4jVersion}-community`);
});

test("each service of compose.yaml is pinned, checked, durable and only on the loopback", () => {
  expect(Object.keys(services)).toEqual(["kafka", "questdb", "redis", "neo4j"]);
  for (const service of Object.values(services)) {
    expect(service.image).toMatch(/:\d+\.\d+\.\d+/);
    expect(service.healthcheck.test.length).toBeGreaterThan(1);
    expect(service.volumes).toHaveLength(1);
    for (const port of service.ports) expect(port).toStartWith("127.0.0.1:");
  }
});
