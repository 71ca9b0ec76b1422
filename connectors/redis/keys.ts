/** Redis keys of one task; the braces put them into one slot of a cluster. */
export interface TaskKeys {
  /** Hash: epoch, commit, meta, staged, logBytes. */
  readonly meta: string;
  /** Hash of pieces by index: the base in use. `{base}.{n}` is the one staged for commit n. */
  readonly base: string;
  /** List of deltas since the base, oldest first. */
  readonly log: string;
}

/** `qmtl:ckpt:{task}:meta|base|log`; the braces are literal. */
export function taskKeys(task: string): TaskKeys {
  const prefix = `qmtl:ckpt:{${encoded(task)}}`;
  return { meta: `${prefix}:meta`, base: `${prefix}:base`, log: `${prefix}:log` };
}

/** Hash with `ts` and `value` of the newest record. */
export function latestKey(nodeId: string, interval: string): string {
  return `node:${encoded(nodeId)}:meta:${encoded(interval)}`;
}

/** List of records, newest first. */
export function historyKey(nodeId: string, interval: string): string {
  return `node:${encoded(nodeId)}:history:${encoded(interval)}`;
}

/** `name` without what separates the parts of a key, so that no two names share one. */
function encoded(name: string): string {
  return name.replaceAll(/[%:{}]/g, encodeURIComponent);
}
