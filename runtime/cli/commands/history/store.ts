import { loadConnectors, openByRef } from "../../../contract/connector.ts";
import {
  type HistoryOpenOptions,
  type HistoryStore,
  type OpenHistoryStore,
} from "../../../contract/history-store.ts";
import { historyDefault, resolveSettings } from "../../../engine/settings.ts";

/** Flags of every command: which store. */
export const storeArgs = {
  history: { type: "string", description: "sqlite:PATH or questdb://HOST:PORT" },
  simulated: { type: "boolean", description: "The store of simulated bars" },
} as const;

/** Flags of the commands that also print data. */
export const printArgs = {
  ...storeArgs,
  json: { type: "boolean", description: "As JSON" },
} as const;

/** What `storeArgs` come to. */
export interface StoreFlags {
  readonly history?: string | undefined;
  readonly simulated?: boolean | undefined;
}

/**
 * Lends `use` the store that the flags name, and closes it.
 *
 * @throws QmtlError as the store's connector says, to a reader of a store that is not there too.
 */
export async function withStore<Result>(
  flags: StoreFlags,
  mode: HistoryOpenOptions["mode"],
  signal: AbortSignal,
  use: (store: HistoryStore) => Promise<Result>,
): Promise<Result> {
  const { history = historyDefault } = resolveSettings({ history: flags.history }, process.env);
  const ref = (await loadConnectors()).refOf("history", history);
  const open = await openByRef<OpenHistoryStore>(ref);
  const store = await open(ref.url, { mode, isSimulated: flags.simulated === true }, signal);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** A time as people and programs read it: ISO in UTC; empty if there is none. */
export function iso(ms: number | undefined): string {
  if (ms === undefined) return "";
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
