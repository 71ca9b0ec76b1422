/**
 * Goal: settle how tags are stored, so that any/all queries over many nodes read an index and not
 * every node, and so that a commit whose outcome nobody knows can be sent again.
 * Method: 10,000 nodes in a real server; the plans the server itself names, the rows it touched,
 * and a plain filter over the same nodes as the oracle. See docs/decisions/tag-model.md.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import neo4j, { type Driver, type Plan, type ProfiledPlan } from "neo4j-driver";
import { type Neo4jServer, startNeo4j } from "../../../runtime/cli/servers/index.ts";
import { describeNeeding, firstStartMsMax } from "../../harness/servers.ts";
import { TcpProxy } from "../../harness/tcp-proxy.ts";

interface TaggedNode {
  readonly nodeId: string;
  readonly tags: readonly string[];
}

const schema = [
  "CREATE CONSTRAINT node_id_unique IF NOT EXISTS FOR (n:Node) REQUIRE n.nodeId IS UNIQUE",
  "CREATE CONSTRAINT tag_name_unique IF NOT EXISTS FOR (t:Tag) REQUIRE t.name IS UNIQUE",
  "CREATE INDEX node_tags_index IF NOT EXISTS FOR (n:Node) ON (n.tags)",
];

/** One statement that says what shall be, so that running it again changes nothing. */
const saveNodes = `
  UNWIND $nodes AS node
  MERGE (n:Node {nodeId: node.nodeId})
  SET n.tags = node.tags
  WITH n, node
  OPTIONAL MATCH (n)-[old:TAGGED]->(gone:Tag) WHERE NOT gone.name IN node.tags
  DELETE old
  WITH DISTINCT n, node
  UNWIND node.tags AS name
  MERGE (t:Tag {name: name})
  MERGE (n)-[:TAGGED]->(t)`;

/** The hint is a demand: without it a plan made for an empty list scans all tags, and is kept. */
const withAnyTag = `
  MATCH (t:Tag) USING INDEX SEEK t:Tag(name) WHERE t.name IN $tags
  MATCH (n:Node)-[:TAGGED]->(t)
  RETURN DISTINCT n.nodeId AS nodeId`;

const withAllTags = `
  MATCH (t:Tag) USING INDEX SEEK t:Tag(name) WHERE t.name IN $tags
  MATCH (n:Node)-[:TAGGED]->(t)
  WITH n, count(DISTINCT t) AS found WHERE found = $tagCount
  RETURN n.nodeId AS nodeId`;

/** What the index on the list property cannot serve; kept as the measured alternative. */
const withTagInList = "MATCH (n:Node) WHERE $tag IN n.tags RETURN n.nodeId AS nodeId";

const nodeCount = 10_000;
const nodes: readonly TaggedNode[] = Array.from({ length: nodeCount }, (_, i) => ({
  nodeId: `node-${i}`,
  tags: [`parity:${i % 2}`, `week:${i % 7}`, `rare:${i % 1_000}`],
}));

function connect(port: number): Driver {
  // Not neo4j://, which asks the server where it is and would go around a proxy.
  return neo4j.driver(`bolt://127.0.0.1:${port}`, undefined, {
    disableLosslessIntegers: true,
    connectionTimeout: 5_000,
  });
}

async function save(driver: Driver, changed: readonly TaggedNode[]): Promise<void> {
  for (let i = 0; i < changed.length; i += 2_000) {
    await driver.executeQuery(saveNodes, { nodes: changed.slice(i, i + 2_000) });
  }
}

async function idsOf(
  driver: Driver,
  mode: "any" | "all",
  tags: readonly string[],
): Promise<readonly string[]> {
  const unique = [...new Set(tags)];
  const { records } = await driver.executeQuery(mode === "any" ? withAnyTag : withAllTags, {
    tags: unique,
    tagCount: unique.length,
  });
  return records.map((record) => String(record.get("nodeId"))).toSorted();
}

function oracle(mode: "any" | "all", tags: readonly string[]): readonly string[] {
  const has = (node: TaggedNode): boolean =>
    mode === "any"
      ? tags.some((tag) => node.tags.includes(tag))
      : tags.every((tag) => node.tags.includes(tag));
  return nodes
    .filter(has)
    .map((node) => node.nodeId)
    .toSorted();
}

/** What the graph holds, as numbers that a repeated commit must not change. */
async function countsOf(driver: Driver): Promise<readonly number[]> {
  const { records } = await driver.executeQuery(`
    RETURN COUNT { (:Node) } AS nodes, COUNT { (:Tag) } AS tags,
           COUNT { (:Node)-[:TAGGED]->(:Tag) } AS edges`);
  return ["nodes", "tags", "edges"].map((name) => Number(records[0]?.get(name)));
}

function operatorsOf(plan: Plan | ProfiledPlan): readonly string[] {
  const below = (plan.children as readonly Plan[]).flatMap(operatorsOf);
  return [plan.operatorType.replace("@neo4j", ""), ...below];
}

function hitsOf(plan: ProfiledPlan): number {
  return plan.children.reduce((sum, child) => sum + hitsOf(child), plan.dbHits);
}

describeNeeding(["neo4j"], "tag model", () => {
  let server: Neo4jServer;
  let driver: Driver;

  // A server of its own: one test kills it, and counts are over the whole graph.
  beforeAll(async () => {
    server = await startNeo4j();
    driver = connect(server.port);
    for (const statement of schema) await driver.executeQuery(statement);
    await save(driver, nodes);
    await driver.executeQuery("CALL db.awaitIndexes()");
  }, firstStartMsMax);

  afterAll(async () => {
    await driver.close();
    await server.close();
  });

  test("10,000 nodes with 3 tags each are 10,000 nodes, 1,009 tags and 30,000 edges", async () => {
    // Tags: 2 parities, 7 days, 1,000 rare ones.
    expect(await countsOf(driver)).toEqual([10_000, 1_009, 30_000]);
  });

  test("any and all give what a plain filter gives", async () => {
    // Every 7th of 10,000 from the 4th on: 1,429. Multiples of 14 below 10,000: 715.
    expect(await idsOf(driver, "any", ["week:3"])).toHaveLength(1_429);
    expect(await idsOf(driver, "all", ["parity:0", "week:0"])).toHaveLength(715);
    const asked = [
      ["rare:7"],
      ["rare:7", "rare:8"],
      ["parity:1", "week:3"],
      ["parity:0", "rare:1"],
      ["week:1", "week:1"],
      ["rare:7", "no such tag"],
    ];
    for (const tags of asked) {
      expect(await idsOf(driver, "any", tags)).toEqual(oracle("any", tags));
      expect(await idsOf(driver, "all", tags)).toEqual(oracle("all", tags));
    }
    expect(await idsOf(driver, "any", [])).toEqual([]);
  });

  test("the plans of any and all seek the tags in the index and scan no label", async () => {
    // The planner looks at how long the list is, so each size is a plan of its own.
    for (const tagCount of [0, 1, 3, 100, 1_000]) {
      const tags = Array.from({ length: tagCount }, (_, i) => `rare:${i}`);
      for (const text of [withAnyTag, withAllTags]) {
        const { summary } = await driver.executeQuery(`EXPLAIN ${text}`, { tags, tagCount });
        const operators = operatorsOf(summary.plan as Plan).join(" ");
        expect(operators).toMatch(/\bNode(Unique)?IndexSeek\b/);
        expect(operators).not.toMatch(/Scan/);
      }
    }
  });

  test("node_tags_index exists, and the plan of a list membership does not use it", async () => {
    const { records } = await driver.executeQuery(
      "SHOW INDEXES YIELD name, state, properties WHERE name = 'node_tags_index' RETURN *",
    );
    expect(records[0]?.get("state")).toBe("ONLINE");
    expect(records[0]?.get("properties")).toEqual(["tags"]);
    const { summary } = await driver.executeQuery(`EXPLAIN ${withTagInList}`, { tag: "rare:7" });
    expect(operatorsOf(summary.plan as Plan)).toContain("NodeByLabelScan");
  });

  test("a query for 10 of 10,000 nodes touches few rows; a list membership touches all", async () => {
    const tags = { tags: ["rare:7"], tagCount: 1, tag: "rare:7" };
    const byEdge = await driver.executeQuery(`PROFILE ${withAnyTag}`, tags);
    const byList = await driver.executeQuery(`PROFILE ${withTagInList}`, tags);
    expect(byEdge.records).toHaveLength(10);
    expect(byList.records).toHaveLength(10);
    expect(hitsOf(byEdge.summary.profile as ProfiledPlan)).toBeLessThan(200);
    expect(hitsOf(byList.summary.profile as ProfiledPlan)).toBeGreaterThan(nodeCount);
  });

  test("saving again changes nothing, also from two connections at once", async () => {
    const before = await countsOf(driver);
    const same = nodes.slice(0, 200);
    await Promise.all([save(driver, same), save(driver, same.toReversed())]);
    expect(await countsOf(driver)).toEqual(before);
  });

  test("saving other tags removes the edges of the old ones", async () => {
    await save(driver, [{ nodeId: "node-0", tags: ["rare:1"] }]);
    expect(await idsOf(driver, "any", ["rare:1"])).toContain("node-0");
    expect(await idsOf(driver, "any", ["week:0"])).not.toContain("node-0");
    await save(driver, nodes.slice(0, 1));
    expect(await idsOf(driver, "any", ["week:0"])).toContain("node-0");
  });

  test("tags are data: quotes, newlines, braces, Cypher and Unicode come back as they went", async () => {
    const tags = [
      "it's",
      'say "x"',
      "two\nlines",
      "a,b=c {d}",
      "Robby' WITH true MATCH (s) DETACH DELETE s //",
      "$tags",
      "\u{1f680} 비트코인",
    ];
    const before = await countsOf(driver);
    await save(driver, [{ nodeId: "node-odd", tags }]);
    for (const tag of tags) expect(await idsOf(driver, "any", [tag])).toEqual(["node-odd"]);
    expect(await idsOf(driver, "all", tags)).toEqual(["node-odd"]);
    await driver.executeQuery(
      "MATCH (n:Node {nodeId: 'node-odd'})-[:TAGGED]->(t) DETACH DELETE n, t",
    );
    expect(await countsOf(driver)).toEqual(before);
  });

  test("a commit whose reply is lost took effect once, and sending it again changes nothing", async () => {
    await using proxy = await TcpProxy.start(server.port);
    const lossy = connect(proxy.port);
    const lost: TaggedNode = { nodeId: "node-lost", tags: ["rare:1", "lost"] };
    const session = lossy.session();
    const transaction = await session.beginTransaction();
    await transaction.run(saveNodes, { nodes: [lost] });
    proxy.set({ replies: "cut" });
    const outcome: unknown = await transaction.commit().catch((error: unknown) => error);
    expect((outcome as { readonly code: string }).code).toBe("ServiceUnavailable");
    proxy.heal();
    // The server had the commit before it answered, so it is there for everyone else.
    expect(await idsOf(driver, "any", ["lost"])).toEqual(["node-lost"]);
    const before = await countsOf(driver);
    await save(lossy, [lost]);
    expect(await countsOf(driver)).toEqual(before);
    await session.close();
    await lossy.close();
  });

  test("after kill -9 in mid-commit the driver sends again, and the graph is exact", async () => {
    const more = Array.from({ length: 2_000 }, (_, i) => ({
      nodeId: `more-${i}`,
      tags: ["more", `more:${i % 10}`],
    }));
    const saved = save(driver, more);
    await server.kill9();
    await server.restart();
    await saved;
    expect(await idsOf(driver, "any", ["more"])).toHaveLength(2_000);
    expect(await idsOf(driver, "all", ["more", "more:3"])).toHaveLength(200);
    const { records } = await driver.executeQuery(
      "MATCH (n:Node)-[edge:TAGGED]->(t:Tag) WITH n, t, count(edge) AS edges WHERE edges > 1 RETURN n",
    );
    expect(records).toEqual([]);
  }, 60_000);
});
