/**
 * What no linter checks about the tree itself: each rule is a sentence of the style, each finding
 * a `path:line` message. Old code that breaks a rule stands in a list that may only shrink.
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..");
const modules = [...new Glob("{runtime,nodes,connectors}/**/*.ts").scanSync(root)]
  .filter((path) => !path.includes("/gen/"))
  .toSorted();

/**
 * Modules without a test at their mirrored path: parts that are tested through the door of their
 * folder, and what still waits for a test. Only ever remove from here.
 */
const untested: ReadonlySet<string> = new Set([
  "connectors/kafka/admin.ts",
  "connectors/kafka/cluster/cluster.ts",
  "connectors/kafka/cluster/fetcher.ts",
  "connectors/kafka/cluster/offsets.ts",
  "connectors/kafka/cluster/producer.ts",
  "connectors/kafka/cluster/retrying.ts",
  "connectors/kafka/protocol/api-versions.ts",
  "connectors/kafka/protocol/error-codes.ts",
  "connectors/kafka/protocol/fetch.ts",
  "connectors/kafka/protocol/init-producer-id.ts",
  "connectors/kafka/protocol/list-offsets.ts",
  "connectors/kafka/protocol/metadata.ts",
  "connectors/kafka/protocol/produce.ts",
  "connectors/kafka/protocol/sasl.ts",
  "connectors/kafka/session/channel.ts",
  "connectors/kafka/wire/connection.ts",
  "connectors/kafka/wire/link.ts",
  "connectors/questdb/read-rows.ts",
  "connectors/questdb/server/connection.ts",
  "connectors/questdb/server/http-client.ts",
  "connectors/questdb/server/pg-connection.ts",
  "connectors/questdb/write/row-sender.ts",
  "connectors/questdb/write/wal-watch.ts",
  "connectors/redis/connection.ts",
  "connectors/redis/durability.ts",
  "connectors/redis/scripts.ts",
  "connectors/simulated/api.ts",
  "connectors/sqlite/store-file.ts",
  "runtime/engine/backtest/replay-all.ts",
  "runtime/worker/replay/replay-job.ts",
  "runtime/worker/replay/replay.ts",
  "runtime/worker/task/chain.ts",
  "runtime/worker/task/join-gate.ts",
  "runtime/worker/task/node-call.ts",
  "runtime/worker/task/node-output.ts",
]);

/** Wiring and declarations: what they do is seen in the tests of what they connect. */
function isWiring(path: string): boolean {
  if (/(^|\/)(index|entry|protocol|config)\.ts$/.test(path)) return true;
  return /^runtime\/(cli|contract)\//.test(path) || !hasCode(path);
}

/** False for a module of types alone. */
function hasCode(path: string): boolean {
  const text = readFileSync(join(root, path), "utf8");
  return /^(export )?(async |abstract )*(function|class|const) /m.test(text);
}

function textLines(path: string): readonly string[] {
  return readFileSync(join(root, path), "utf8").split("\n");
}

/** Derived declarations say what they are: `z.output<…>`, `keyof typeof …`. */
const derived = /= (z\.(output|input)<|\(?keyof )/;
const exported =
  /^export (declare )?(abstract )?(async )?(function\*?|class|interface|const|type) (?!\{)/;

test("every export has a doc comment", () => {
  const findings = modules
    .filter((path) => !path.endsWith("index.ts"))
    .flatMap((path) => {
      const lines = textLines(path);
      return lines.flatMap((line, i) => {
        if (!exported.test(line) || derived.test(line)) return [];
        // A remark to the linter may stand between the two.
        const before = lines.slice(0, i).findLast((text) => !text.startsWith("//"));
        return before?.endsWith("*/") === true ? [] : [`${path}:${i + 1}: ${line}`];
      });
    });
  expect(findings).toEqual([]);
});

test("every module has a test at its mirrored path, or is a known exception", () => {
  const lacking = modules.filter((path) => {
    const mirrored = join(root, "test", path.replace(/\.ts$/, ""));
    return (
      !isWiring(path) && ![".test.ts", ".it.test.ts"].some((end) => existsSync(mirrored + end))
    );
  });
  expect(lacking.filter((path) => !untested.has(path))).toEqual([]);
  // An exception that is met, or gone, leaves the list.
  expect([...untested].filter((path) => !lacking.includes(path))).toEqual([]);
});

test("a folder holds at most 8 modules, and none is a drawer", () => {
  const folders = Map.groupBy(modules, (path) => path.slice(0, path.lastIndexOf("/")));
  const full = [...folders].filter(([, inside]) => inside.length > 8).map(([name]) => name);
  expect(full).toEqual([]);
  const drawers = modules.filter((path) => /\/(utils?|helpers?|common|misc|types)\.ts$/.test(path));
  expect(drawers).toEqual([]);
});

test("no unfinished note is left without the number of an issue", () => {
  const findings = modules.flatMap((path) =>
    textLines(path).flatMap((line, i) =>
      /\b(TODO|FIXME|XXX)\b(?!.*#\d)/.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [],
    ),
  );
  expect(findings).toEqual([]);
});
