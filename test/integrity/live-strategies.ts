/** Strategies of the live tests. `symbols` name the topics: input, output, then the rest. */

import { existsSync, rmSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { Join, Node, Operator, type Schema, Strategy, StreamInput, type Window } from "qmtl";
import { type MutableRow } from "../../nodes/typing.ts";

/** What every input topic holds. */
export const bar = { close: "f64" } as const satisfies Schema;
type Mean = { readonly mean: "f64" };

/** Bars that a mean is taken over. */
export const meanLength = 4;

function step(
  window: Window<typeof bar>,
  _params: object,
  _state: Float64Array,
  out: MutableRow<Mean>,
) {
  const close = window.column("close");
  out.mean = (close.at(-1) + close.at(-2) + close.at(-3) + close.at(-4)) / 4;
  return true;
}

function meanOf(input: StreamInput<typeof bar>, name: string, publish: true | { topic: string }) {
  return new Operator({
    name,
    input,
    lookback: meanLength,
    schema: { mean: "f64" },
    publish,
    step,
  });
}

function barsOf(topic: string, symbols: readonly string[] | "*"): StreamInput<typeof bar> {
  return new StreamInput({ topic, symbols, maxKeys: 64, interval: "1m", period: 4, schema: bar });
}

/** The mean of every key. */
export class Means extends Strategy {
  setup() {
    const [input = "", output = ""] = this.flags.symbols;
    this.addNodes([meanOf(barsOf(input, "*"), "mean", { topic: output })]);
  }
}

/** The mean of the keys that are listed after the topics. */
export class ListedMeans extends Strategy {
  setup() {
    const [input = "", output = "", ...keys] = this.flags.symbols;
    this.addNodes([meanOf(barsOf(input, keys), "mean", { topic: output })]);
  }
}

/** The mean of every key, in a topic of its definition's name. */
export class PublicMeans extends Strategy {
  setup() {
    const [input = ""] = this.flags.symbols;
    this.addNodes([meanOf(barsOf(input, "*"), "mean", true)]);
  }
}

/** Two definitions that want one topic. */
export class SharedTopic extends Strategy {
  setup() {
    const [input = "", output = ""] = this.flags.symbols;
    const bars = barsOf(input, "*");
    const last = new Node({
      name: "last",
      input: bars,
      schema: bar,
      publish: { topic: output },
      compute: (window) => ({ close: window.value("close", -1) }),
    });
    this.addNodes([meanOf(bars, "mean", { topic: output }), last]);
  }
}

/** Publishes into what it reads. */
export class Loop extends Strategy {
  setup() {
    const [input = ""] = this.flags.symbols;
    this.addNodes([meanOf(barsOf(input, "*"), "mean", { topic: input })]);
  }
}

/** A node over two streams of any keys. */
export class Joined extends Strategy {
  setup() {
    const [input = "", other = ""] = this.flags.symbols;
    const ratio = new Join({
      name: "ratio",
      inputs: { a: barsOf(input, "*"), b: barsOf(other, "*") },
      schema: { ratio: "f64" },
      compute: ({ a, b }) => ({ ratio: a.value("close", -1) / b.value("close", -1) }),
    });
    this.addNodes([ratio]);
  }
}

/** One topic read as two streams: by minute and by five minutes. */
export class TwoReaders extends Strategy {
  setup() {
    const [input = "", one = "", two = ""] = this.flags.symbols;
    const bars = barsOf(input, "*");
    const wide = new StreamInput({
      topic: input,
      symbols: "*",
      maxKeys: 64,
      interval: "5m",
      period: 4,
      schema: bar,
    });
    this.addNodes([
      meanOf(bars, "mean", { topic: one }),
      new Node({
        name: "wide",
        input: wide,
        lookback: 1,
        schema: bar,
        publish: { topic: two },
        compute: (window) => ({ close: window.value("close", -1) }),
      }),
    ]);
  }
}

/** Closes at which `Fragile` fails. */
export const fragileAt = { throws: 666, stalls: 777, overflows: 888 } as const;

/**
 * "steady" emits every close to the second topic; "fragile" to the third, unless the close is one
 * of `fragileAt`; "child" passes on what "fragile" emits, to the fourth.
 */
export class Fragile extends Strategy {
  setup() {
    const [input = "", steadyTopic = "", fragileTopic = "", childTopic = ""] = this.flags.symbols;
    const bars = barsOf(input, "*");
    const common = { lookback: 1, schema: bar };
    const steady = new Node({
      ...common,
      name: "steady",
      input: bars,
      publish: { topic: steadyTopic },
      compute: (window) => ({ close: window.value("close", -1) }),
    });
    const fragile = new Node({
      ...common,
      name: "fragile",
      input: bars,
      publish: { topic: fragileTopic },
      compute: (window) => {
        const close = window.value("close", -1);
        if (close === 666) throw new Error("on purpose");
        while (window.value("close", -1) === 777);
        const dig = (depth: number): number => dig(depth + 1) + depth;
        return { close: close === 888 ? dig(0) : close };
      },
    });
    const child = new Node({
      ...common,
      name: "child",
      input: fragile,
      publish: { topic: childTopic },
      compute: (window) => ({ close: window.value("close", -1) + 0.5 }),
    });
    this.addNodes([steady, fragile, child]);
  }
}

/** A node of a coarser interval, which the plain loop runs, that never comes back at 777. */
export class CoarseStall extends Strategy {
  setup() {
    const [input = "", output = ""] = this.flags.symbols;
    const wide = new Node({
      name: "wide",
      input: barsOf(input, "*"),
      interval: "3m",
      lookback: 1,
      schema: bar,
      publish: { topic: output },
      compute: (window) => {
        while (window.value("close", -1) === 777);
        return { close: window.value("close", -1) };
      },
    });
    this.addNodes([wide]);
  }
}

/** The mean of every key, on a thread that dies: `dieBy` the file called after the topics. */
export class Mortal extends Strategy {
  setup() {
    const [input = "", output = "", file = ""] = this.flags.symbols;
    dieBy(file);
    this.addNodes([meanOf(barsOf(input, "*"), "mean", { topic: output })]);
  }
}

/**
 * Ends worker threads as files say: who finds `{file}.exit` removes it and exits; `{file}.throw`: it
 * throws outside of any call; `{file}.always`: every thread exits at once.
 */
export function dieBy(file: string): void {
  if (isMainThread) return;
  if (existsSync(`${file}.always`)) process.exit(7);
  setInterval(() => {
    if (isTaken(`${file}.exit`)) process.exit(7);
    if (isTaken(`${file}.throw`)) throw new Error("thrown by a timer");
  }, 5).unref();
}

/** True for the one thread that could remove the file. */
function isTaken(path: string): boolean {
  try {
    rmSync(path);
    return true;
  } catch {
    return false; // it is not there, or another thread was first
  }
}
