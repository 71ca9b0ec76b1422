import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { kline, Strategy, StreamInput } from "../../../nodes/index.ts";
import { definitionIdOf, nodeIdOf } from "../../../runtime/graph/ids.ts";
import { idsOf, prepare, prepareHere } from "../../../runtime/graph/strategy.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { scratchDirectory } from "../../harness/scratch.ts";

const flags = { symbols: ["BTCUSDT", "ETHUSDT"], interval: "1m" } as const;

/** Bars, and no node on them. */
export class Bars extends Strategy {
  setup() {
    this.addNodes([new StreamInput({ ...this.flags, period: 5, schema: kline })]);
    this.note("bars alone");
  }
}

class Empty extends Strategy {
  setup() {
    this.note("nothing");
  }
}

const ref = { module: import.meta.url, exportName: "Bars" };

test("prepare() sets up the class and builds the graph of what it added", () => {
  const { name, graph, notes } = prepare(Bars, flags);
  expect([name, graph.nodes.length, notes]).toEqual(["Bars", 1, ["bars alone"]]);
});

test("a strategy that adds nothing is refused by its name", () => {
  expect(() => prepare(Empty, flags)).toThrow("Cannot run Empty: setup() added no nodes");
});

test("idsOf() are each definition's and those of its keys, in order", () => {
  const source = { exchange: "binance", market: "spot", data: "kline" };
  const definition = definitionIdOf({ kind: "stream", source, interval: "1m", schema: kline });
  const wanted = [definition, nodeIdOf(definition, "BTCUSDT"), nodeIdOf(definition, "ETHUSDT")];
  expect(idsOf(prepare(Bars, flags).graph)).toEqual(wanted);
});

test("prepareHere() runs the module's class again and accepts the same IDs alone", async () => {
  const ids = idsOf(prepare(Bars, flags).graph);
  expect(idsOf((await prepareHere(ref, flags, ids)).graph)).toEqual(ids);
  for (const [other, at] of [
    [[...ids.slice(0, 2), "f".repeat(32)], 2],
    [[...ids, "f".repeat(32)], 3],
    [ids.slice(1), 0],
  ] as const) {
    expect(await failureOf(prepareHere(ref, flags, other))).toMatchObject({
      code: "SETUP_NOT_DETERMINISTIC",
      details: { at },
    });
  }
  // More than the plan has is a difference too.
  expect(await failureOf(prepareHere(ref, flags, ids.slice(0, 2)))).toMatchObject({
    code: "SETUP_NOT_DETERMINISTIC",
  });
});

test("a class that its module does not export is STRATEGY_INVALID and says what to write", async () => {
  const path = join(scratchDirectory(), "hidden.ts");
  writeFileSync(path, "class Hidden {}\nvoid Hidden;\nexport const other = 1;\n");
  const hidden = { module: Bun.pathToFileURL(path).href, exportName: "Hidden" };
  const failure = await failureOf(prepareHere(hidden, flags, []));
  expect(failure).toMatchObject({ code: "STRATEGY_INVALID" });
  expect(String(failure)).toContain('wanted "export class Hidden"');
});
