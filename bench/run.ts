/**
 * `bun run bench`: runs the suites of registry.ts one after the other, prints one table and keeps
 * the figures in bench/results/latest.json. docs/performance.md says how to read it.
 */
import { join } from "node:path";
import { suites } from "./registry.ts";
import { helpText, parseOptions } from "./report/options.ts";
import { type Results, readResults, resultOf, writeResults } from "./report/results.ts";
import { tableOf } from "./report/table.ts";

const resultsFile = join(import.meta.dir, "results", "latest.json");

async function main(argv: readonly string[], signal: AbortSignal): Promise<void> {
  if (argv.includes("--help")) {
    process.stdout.write(helpText(suites));
    return;
  }
  const options = parseOptions(argv, suites);
  const before = options.isComparing ? readResults(resultsFile) : undefined;
  const found: Record<string, Results[string]> = {};
  for (const suite of options.suites) {
    process.stderr.write(`${suite.name} …\n`);
    found[suite.name] = resultOf(await suite.measure(options, signal));
    signal.throwIfAborted();
  }
  writeResults(resultsFile, found);
  const [first] = Object.values(found);
  process.stdout.write(
    options.isJson
      ? `${JSON.stringify(found, null, 2)}\n`
      : `${tableOf(found, before)}\n${first?.machine}, Bun ${first?.bun}; kept in ${resultsFile}\n`,
  );
}

const stop = new AbortController();
const onSignal = (): void => stop.abort();
process.once("SIGINT", onSignal);
process.once("SIGTERM", onSignal);
try {
  await main(process.argv.slice(2), stop.signal);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  process.off("SIGINT", onSignal);
  process.off("SIGTERM", onSignal);
}
