/**
 * Cost of identity: paid once a definition at start, and once a key.
 * Measures: a function's identity from its source (each time a function that is not known yet), and
 * a node's ID.
 * Does not measure: reading and parsing a module for the first time (1 to 10 ms each).
 */
import { createHash } from "node:crypto";
import { parseSync } from "oxc-parser";
import { codeIdentityOf } from "../../runtime/graph/code/code-identity.ts";
import { type UserFunction } from "../../runtime/graph/declaration.ts";
import { nodeIdOf } from "../../runtime/graph/ids.ts";
import { type Window } from "../../runtime/index.ts";
import { type MicroSuite } from "../harness.ts";

const definitionId = "0123456789abcdef0123456789abcdef";

/** The same code, another function each time. */
const fresh = (): UserFunction => (window: Window<{ close: "f64" }>) => ({
  x: window.value("close") - window.column("close", 20).mean(),
});

/** Identities of functions. */
export const codeIdentity: MicroSuite = {
  name: "code identity",
  rows: 20,
  open(rows) {
    const text = fresh().toString();
    const digest = rows * 32;
    const over = (one: () => number) => (): number => {
      let sum = 0;
      for (let i = 0; i < rows; i += 1) sum += one();
      return sum;
    };
    const parse = (): number => parseSync("a.ts", `const a = ${text}`).program.body.length;
    return {
      cases: [
        {
          name: "code identity",
          role: "ours",
          rows,
          digest,
          run: over(() => codeIdentityOf(fresh()).length),
        },
        {
          name: "hash of fn.toString(), not usable",
          role: "baseline",
          rows,
          digest,
          run: over(() => hashOf(fresh().toString()).length),
        },
        { name: "parse of the text", role: "limit", rows, digest: rows, run: over(parse) },
      ],
    };
  },
};

/** IDs of nodes. */
export const nodeId: MicroSuite = {
  name: "node id",
  rows: 2_000,
  open(rows) {
    const keys = Array.from({ length: rows }, (_, i) => `KEY${i}`);
    const ids = keys.map((key) => nodeIdOf(definitionId, key));
    const texts = keys.map((key) => `qmtl-id-1 node ["${definitionId}","${key}"]`);
    const digest = ids.reduce((sum, id) => sum + id.charCodeAt(0), 0);
    const over = (of: (i: number) => string) => (): number => {
      let sum = 0;
      for (let i = 0; i < rows; i += 1) sum += of(i).charCodeAt(0);
      return sum;
    };
    return {
      cases: [
        {
          name: "node id",
          role: "ours",
          rows,
          digest,
          run: over((i) => nodeIdOf(definitionId, keys[i]!)),
        },
        { name: "SHA-256 alone", role: "limit", rows, digest, run: over((i) => hashOf(texts[i]!)) },
      ],
    };
  },
};

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
