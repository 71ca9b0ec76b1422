/** Strategies of the live joins' tests. `symbols` name the topics: input, output, then the rest. */
import {
  type IntervalName,
  Join,
  Node,
  type OnMissing,
  Strategy,
  type StrategyFlags,
  StreamInput,
} from "qmtl";
import { bar, dieBy } from "./live-strategies.ts";

function barsOf(topic: string, symbols: readonly string[], interval: IntervalName = "1m") {
  return new StreamInput({ topic, symbols, interval, period: 4, schema: bar });
}

function last(window: { value(field: "close", at: number): number }): number {
  return window.value("close", -1);
}

/** `A − B` of each pair that is listed after the topics, as `A|B`. */
export class Spreads extends Strategy {
  setup() {
    const [input = "", output = "", ...pairs] = this.flags.symbols;
    for (const pair of pairs) {
      const [a = "", b = ""] = pair.split("|");
      const spread = new Join({
        name: "spread",
        inputs: { a: barsOf(input, [a]), b: barsOf(input, [b]) },
        lookback: 1,
        schema: { spread: "f64" },
        publish: { topic: output },
        compute: (windows) => ({ spread: last(windows.a) - last(windows.b) }),
      });
      this.addNodes([spread]);
    }
  }
}

/** Two topics joined key by key: no record leaves its partition. */
export class SameKey extends Strategy {
  readonly onMissing: OnMissing = "skip";

  setup() {
    const [left = "", right = "", output = "", ...keys] = this.flags.symbols;
    const sum = new Join({
      name: "sum",
      inputs: { left: barsOf(left, keys), right: barsOf(right, keys) },
      lookback: 1,
      onMissing: this.onMissing,
      schema: { sum: "f64" },
      publish: { topic: output },
      compute: (windows) => ({ sum: last(windows.left) + last(windows.right) }),
    });
    this.addNodes([sum]);
  }
}

/** The same with the last bar in place of a missing one. */
export class Latest extends SameKey {
  override readonly onMissing = "last";
}

/** The same without mercy for a missing one. */
export class Strict extends SameKey {
  override readonly onMissing = "fail";
}

/** `Spreads` on threads that die: the file called first says when. */
export class MortalSpreads extends Spreads {
  constructor({ symbols: [file = "", ...symbols], ...flags }: StrategyFlags) {
    super({ ...flags, symbols });
    dieBy(file);
  }
}

/**
 * Two joins behind each other, a node that often emits nothing, a coarser input and a mean of the
 * joined values: `((odd A) + B) / 3m of C`, and the mean of two of them.
 */
export class Deep extends Strategy {
  setup() {
    const [input = "", sums = "", means = "", coarse = ""] = this.flags.symbols;
    const odd = new Node({
      name: "odd",
      input: barsOf(input, ["A"]),
      lookback: 1,
      schema: bar,
      compute: (window) => (last(window) % 2 === 1 ? { close: last(window) } : undefined),
    });
    const sum = new Join({
      name: "sum",
      inputs: { a: odd, b: barsOf(input, ["B"]) },
      lookback: 1,
      onMissing: "last",
      schema: bar,
      publish: { topic: sums },
      compute: (windows) => ({ close: last(windows.a) + last(windows.b) }),
    });
    const share = new Join({
      name: "share",
      inputs: { sum, wide: barsOf(coarse, ["C"], "3m") },
      lookback: 1,
      schema: bar,
      compute: (windows) => ({ close: last(windows.sum) / last(windows.wide) }),
    });
    const mean = new Node({
      name: "mean",
      input: share,
      lookback: 2,
      schema: bar,
      publish: { topic: means },
      compute: (window) => ({ close: window.column("close").mean() }),
    });
    this.addNodes([sum, mean]);
  }
}
