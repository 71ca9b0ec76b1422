/** Each statement compiles, with the types that the comments name. */
import { Join, kline, Node, Operator, StreamInput, sma, zscore } from "qmtl";

const btc = new StreamInput({ symbol: "BTCUSDT", interval: "1m", period: 120, schema: kline });
const eth = new StreamInput({ symbols: ["ETHUSDT"], interval: 60, period: "7d", schema: kline });

/** Windows are typed by the input's schema, the result by the node's. */
export const z = new Node({
  name: "zscore",
  input: btc,
  schema: { z: "f64" },
  params: { length: 60 },
  compute(window, { length }) {
    if (!window.full) return;
    const close = window.column("close", length);
    let sum = 0;
    for (const value of close) sum += value;
    for (const [ts, record] of window) if (ts > 0) sum += record.trades;
    return { z: window.value("close") - sum / length + close.slice(0, 2).mean() };
  },
});

/** Named inputs give named windows; returning nothing is allowed. */
export const spread = new Join({
  name: "spread",
  inputs: { btc, eth, z },
  schema: { ratio: "f64", z: "f64" },
  params: { beta: 1.5, mode: "log" },
  publish: { topic: "spread" },
  compute({ btc, eth, z }, { beta }, { time, key }) {
    if (time < 0 || key === "") return undefined;
    return { ratio: btc.value("close") - beta * eth.value("close"), z: z.value("z") };
  },
});

/** A list of inputs gives a list of windows. */
export const listed = new Join({
  inputs: [btc, z],
  lookback: 5,
  schema: { a: "f64" },
  compute: ([b, s]) => ({ a: b.value("close") + s.value("z") }),
});

/** An operator owns floats of state and writes a reused record. */
export const count = new Operator({
  input: spread,
  schema: { n: "u32" },
  state: 1,
  step(window, _params, state, out) {
    state[0] = (state[0] ?? 0) + window.value("ratio");
    out.n = state[0];
    return true;
  },
});

/** Library indicators take a field of their input's schema. */
export const indicators = [
  sma(btc, "close", { length: 20 }),
  zscore(spread, "ratio", { length: 60 }),
] as const;
