import { chain } from "./compute/chain.bench.ts";
import { codeIdentity, nodeId } from "./compute/ids.bench.ts";
import { share } from "./compute/share/share.bench.ts";
import { window } from "./compute/window.bench.ts";
import { type MicroSuite, type Suite, suiteOf } from "./harness.ts";
import { klineWindowSuites } from "./kline-window/bench.ts";
import { backtest } from "./stores/backtest.bench.ts";
import { checkpoint } from "./stores/checkpoint.bench.ts";
import { growthSuites } from "./stores/growth.bench.ts";
import { questdb } from "./stores/questdb.bench.ts";
import { redisCommit, redisRestore } from "./stores/redis.bench.ts";
import { sqliteRead, sqliteWrite } from "./stores/sqlite.bench.ts";
import { decode } from "./wire/decode.bench.ts";
import { encode } from "./wire/encode.bench.ts";
import { ilp } from "./wire/ilp.bench.ts";
import { walk } from "./wire/walk.bench.ts";

/** Work inside one thread, in the order a record goes; `bun test` runs each once on small inputs. */
export const microSuites: readonly MicroSuite[] = [
  walk,
  decode,
  window,
  chain,
  encode,
  ilp,
  sqliteWrite,
  sqliteRead,
  codeIdentity,
  nodeId,
];

/** Everything that `bun run bench` knows, in the order of its table. */
export const suites: readonly Suite[] = [
  ...microSuites.map(suiteOf),
  share,
  backtest,
  checkpoint,
  ...growthSuites,
  questdb,
  redisCommit,
  redisRestore,
  ...klineWindowSuites,
];
