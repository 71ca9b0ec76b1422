import { type NodeRows } from "../protocol.ts";

/** What a replay has put out for one node and key. */
export interface NodeTally {
  readonly node: number;
  readonly key: string;
  readonly outputs: number;
  readonly firstTs: number;
  readonly lastTs: number;
  /** Fields of the last output in schema order; null where there is no value. */
  readonly lastValues: readonly (number | null)[];
}

/** Counts outputs by node and key; plain data, so that it moves with a checkpoint. */
export class OutputTally {
  readonly #tallies = new Map<string, NodeTally>();

  /** Notes outputs, in time order per node and key. */
  add(outputs: readonly NodeRows[]): void {
    for (const { node, key, rows } of outputs) {
      const name = `${node} ${key}`;
      const known = this.#tallies.get(name);
      const last = rows.count - 1;
      this.#tallies.set(name, {
        node,
        key,
        outputs: (known?.outputs ?? 0) + rows.count,
        firstTs: known?.firstTs ?? rows.ts[0]!,
        lastTs: rows.ts[last]!,
        lastValues: rows.columns.map((column) =>
          Number.isNaN(column[last]!) ? null : column[last]!,
        ),
      });
    }
  }

  /** Goes on from what an earlier run had noted. */
  restore(tallies: readonly NodeTally[]): void {
    for (const tally of tallies) this.#tallies.set(`${tally.node} ${tally.key}`, tally);
  }

  list(): readonly NodeTally[] {
    return [...this.#tallies.values()];
  }
}
