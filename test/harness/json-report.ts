/** What `--json` prints, as far as tests read it. */
export interface JsonReport {
  readonly strategy: string;
  readonly mode: string;
  readonly exchange: string;
  readonly simulated: boolean;
  readonly history: string;
  readonly start: number;
  readonly end: number;
  readonly streams: readonly {
    readonly nodeId: string;
    readonly definitionId: string;
    readonly symbol: string;
    readonly interval: string;
    readonly rows: number;
    readonly fetched: number;
    readonly requests: number;
    readonly missing: readonly (readonly [number, number])[];
    readonly confirmedEmpty: readonly (readonly [number, number])[];
  }[];
  readonly nodes: readonly {
    readonly nodeId: string;
    readonly definitionId: string;
    readonly name: string;
    readonly symbol: string;
    readonly outputs: number;
  }[];
  readonly records: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  readonly notes: readonly string[];
}

/** Standard output of a run with `--json`: one object and nothing else. */
export function parseReport(stdout: string): JsonReport {
  return JSON.parse(stdout) as JsonReport;
}
