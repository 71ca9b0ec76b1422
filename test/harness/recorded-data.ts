import { test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * Recorded exchange data for tests: the folder that `QMTL_RECORDED_DATA` names. Unset, as on a
 * user's machine: tests that need it are skipped, with one line. Set but missing is a failure.
 */
export const recordedData: string | undefined = find();

/** `test` where recorded data are there, else `test.skip`. */
export const recordedTest = recordedData === undefined ? test.skip : test;

/** Path of a recorded file, `klines/BTCUSDT-1m-20200101-20200103.csv`. */
export function recordedPath(...parts: readonly string[]): string {
  if (recordedData === undefined) throw new Error("Cannot find recorded data: none are set");
  return join(recordedData, ...parts);
}

function find(): string | undefined {
  const named = process.env["QMTL_RECORDED_DATA"];
  if (named === undefined || named === "") {
    // Modules are loaded once a run, so this is one line.
    console.log("QMTL_RECORDED_DATA is not set: tests on recorded exchange data are skipped");
    return undefined;
  }
  if (existsSync(join(named, "klines"))) return named;
  throw new Error(
    `Cannot find recorded data: QMTL_RECORDED_DATA is "${named}", which has no klines/`,
  );
}
