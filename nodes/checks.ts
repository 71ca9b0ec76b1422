import { faultOfParams, type Params, QmtlError } from "../runtime/index.ts";

/** Tags of a node, at most. */
const tagsMax = 64;
const tagPattern = /^[A-Za-z0-9_.:-]{1,100}$/;
const lookbackLimit = 1_000_000;

/** @throws QmtlError ARGUMENT_INVALID if `name` is given and not 1 to 200 characters. */
export function checkName(name: string | undefined, label: string): void {
  if (name === undefined || (name.length >= 1 && name.length <= 200)) return;
  throw invalid(label, `its name has ${name.length} characters, wanted 1 to 200`);
}

/** Tags sorted, each once. @throws QmtlError ARGUMENT_INVALID for a bad one or a repetition. */
export function checkTags(tags: readonly string[] | undefined, label: string): readonly string[] {
  const list = (tags ?? []).toSorted();
  const bad = list.find((tag) => !tagPattern.test(tag));
  if (bad !== undefined) {
    throw invalid(label, `it has the tag "${bad}", wanted 1 to 100 of letters, digits, _ . : -`);
  }
  if (list.length > tagsMax || new Set(list).size !== list.length) {
    throw invalid(label, `it has ${list.length} tags, wanted at most ${tagsMax}, each once`);
  }
  return list;
}

/** @throws QmtlError ARGUMENT_INVALID if a value in `params` is not plain data. */
export function checkParams(params: Params | undefined, label: string): Params {
  const fault = faultOfParams(params ?? {});
  if (fault !== undefined) {
    throw invalid(
      label,
      `${fault}, wanted numbers, strings, booleans, null, lists or plain objects`,
    );
  }
  return params ?? {};
}

/** @throws QmtlError ARGUMENT_INVALID if `lookback` is given and not an integer >= 1. */
export function checkLookback(lookback: number | undefined, label: string): number | undefined {
  if (lookback === undefined) return undefined;
  if (Number.isInteger(lookback) && lookback >= 1 && lookback <= lookbackLimit) return lookback;
  throw invalid(label, `its lookback is ${lookback}, wanted an integer from 1 to ${lookbackLimit}`);
}

function invalid(label: string, fault: string): QmtlError {
  return new QmtlError("ARGUMENT_INVALID", `Cannot make ${label}: ${fault}`);
}
