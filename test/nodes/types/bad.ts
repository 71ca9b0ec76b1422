/** No statement here compiles; the line after `// wants:` fails with that text. */
import { Join, kline, Node, StreamInput, sma } from "qmtl";

const btc = new StreamInput({ symbol: "BTCUSDT", interval: "1m", period: 120, schema: kline });

export const wrongField = new Node({
  input: btc,
  schema: { z: "f64" },
  params: { length: 60 },
  compute(w, { length }) {
    // wants: Argument of type '"clos"' is not assignable to parameter of type
    return { z: w.column("clos", length).length };
  },
});
export const asyncCompute = new Node({
  input: btc,
  schema: { z: "f64" },
  // wants: "compute must not be async": "fetch in a provider; compute only computes"
  async compute(w) {
    return { z: w.value("close") };
  },
});
export const misspelt = new Node({
  input: btc,
  schema: { z: "f64" },
  // wants: Row<{ readonly z: "f64"; }>
  compute(w) {
    return { zz: w.value("close") };
  },
});
export const extra = new Node({
  input: btc,
  schema: { z: "f64" },
  // wants: "result has a field that schema lacks": "extra"
  compute(w) {
    return { z: w.value("close"), extra: 1 };
  },
});
export const missing = new Node({
  input: btc,
  schema: { z: "f64", m: "f64" },
  // wants: Row<{ readonly z: "f64"; readonly m: "f64"; }>
  compute(w) {
    return { z: w.value("close") };
  },
});
export const wrongType = new Node({
  input: btc,
  schema: { z: "f64" },
  // wants: Row<{ readonly z: "f64"; }>
  compute(w) {
    return { z: String(w.value("close")) };
  },
});
export const wrongParam = new Node({
  input: btc,
  schema: { z: "f64" },
  params: { length: 60 },
  // wants: Property 'lenght' does not exist on type '{ length: number; }'
  compute(w, { lenght }) {
    return { z: w.value("close") + Number(lenght) };
  },
});
export const wrongInput = new Join({
  inputs: { btc },
  schema: { z: "f64" },
  // wants: Property 'eth' does not exist on type
  compute({ eth }) {
    return { z: Number(eth) };
  },
});
export const writes = new Node({
  input: btc,
  schema: { z: "f64" },
  compute(w) {
    const close = w.column("close");
    // wants: Element implicitly has an 'any' type because expression of type '0' can't be used to index type 'Column'
    close[0] = 1;
    return { z: 1 };
  },
});
// wants: Type '"float"' is not assignable to type 'FieldKind'
export const badKind = new Node({ input: btc, schema: { z: "float" }, compute: () => ({ z: 1 }) });
// wants: Argument of type '"clos"' is not assignable to parameter of type
export const badIndicator = sma(btc, "clos", { length: 20 });
