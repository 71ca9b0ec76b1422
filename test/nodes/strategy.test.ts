import { expect, test } from "bun:test";
import { kline, Strategy, StreamInput, sma, type Upstream } from "../../nodes/index.ts";

const flags = { symbols: ["BTCUSDT"], interval: "1m" } as const;

class Plain extends Strategy {
  setup() {
    const bars = new StreamInput({ ...this.flags, period: 5, schema: kline, name: "bars" });
    this.addNodes([sma(bars, "close", { length: 2 }), bars]);
    this.addNodes([sma(bars, "open", { length: 3 })]);
    this.note("one thing is left out");
  }
}

test("setup() adds nodes in order, one call after the other, and notes lines for the report", () => {
  const strategy = new Plain(flags);
  expect(strategy.declarations).toHaveLength(0);
  strategy.setup();
  expect(strategy.declarations.map(({ name }) => name)).toEqual(["sma_2", "bars", "sma_3"]);
  expect(strategy.notes).toEqual(["one thing is left out"]);
});

test("what is no node is refused by its place and the strategy's name", () => {
  class Wrong extends Strategy {
    setup() {
      const bars = new StreamInput({ ...this.flags, period: 5, schema: kline });
      this.addNodes([bars, undefined as unknown as Upstream]);
    }
  }
  expect(() => new Wrong(flags).setup()).toThrow(
    "Cannot add node 1 to Wrong: found undefined, wanted a stream or node",
  );
});
