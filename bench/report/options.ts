import { parseArgs } from "node:util";
import { type Suite } from "../harness.ts";

/** What `bun run bench` was asked to do. */
export interface BenchOptions {
  readonly suites: readonly Suite[];
  readonly timeMs: number;
  readonly isComparing: boolean;
  readonly isJson: boolean;
}

const timeMsDefault = 600;
const timeMsLimits = [30, 600_000] as const;

/** What `--help` prints. */
export function helpText(known: readonly Suite[]): string {
  const names = known.map(({ name, needsServers }) => (needsServers ? `${name} (servers)` : name));
  return `bun run bench [--only NAME,NAME] [--time MS] [--compare] [--json]

  --only NAME,NAME  these suites alone; those that start servers run only if they are named
  --time MS         time per case (default ${timeMsDefault}, ${timeMsLimits[0]} to ${timeMsLimits[1]})
  --compare         also how many times as fast as in the last run
  --json            results as JSON instead of a table

Suites: ${names.join(", ")}
`;
}

/** Reads the command line. @throws RangeError naming what is wrong. */
export function parseOptions(argv: readonly string[], known: readonly Suite[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: "string" },
      time: { type: "string", default: String(timeMsDefault) },
      compare: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const timeMs = Number(values.time);
  if (!(timeMs >= timeMsLimits[0] && timeMs <= timeMsLimits[1])) {
    throw new RangeError(
      `Cannot measure for "${values.time}" ms: wanted ${timeMsLimits[0]} to ${timeMsLimits[1]}`,
    );
  }
  return {
    suites: chosen(values.only, known),
    timeMs,
    isComparing: values.compare,
    isJson: values.json,
  };
}

function chosen(only: string | undefined, known: readonly Suite[]): readonly Suite[] {
  if (only === undefined) return known.filter(({ needsServers }) => !needsServers);
  return only.split(",").map((name) => {
    const suite = known.find((one) => one.name === name.trim());
    if (suite !== undefined) return suite;
    const names = known.map((one) => one.name).join(", ");
    throw new RangeError(`Cannot run the bench "${name}": wanted one of ${names}`);
  });
}
