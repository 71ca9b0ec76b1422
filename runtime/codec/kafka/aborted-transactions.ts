import { type RecordBatchReader } from "./record-batch-reader.ts";

/** One entry of a fetch answer's list: from this offset on, this producer's records were aborted. */
export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/**
 * Which batches of one partition a read-committed reader may see. The broker names the aborted
 * transactions of each answer; each ends at its producer's abort marker.
 *
 *   begin(list) → accepts(batch 1) → accepts(batch 2) → …   in offset order, for each answer
 */
export class AbortedTransactions {
  /** By first offset; those before `#next` have begun. */
  #pending: readonly AbortedTransaction[] = [];
  #next = 0;
  readonly #aborting = new Set<number>();

  /** Begins an answer with the transactions it names. */
  begin(aborted: readonly AbortedTransaction[]): void {
    this.#aborting.clear();
    this.#next = 0;
    this.#pending =
      aborted.length < 2
        ? aborted
        : aborted.toSorted((one, other) => one.firstOffset - other.firstOffset);
  }

  /** True if the current batch of `reader` holds records to process: no control, not aborted. */
  accepts(reader: RecordBatchReader): boolean {
    for (
      let next = this.#pending[this.#next];
      next !== undefined && next.firstOffset < reader.nextOffset;
      next = this.#pending[this.#next]
    ) {
      this.#aborting.add(next.producerId);
      this.#next += 1;
    }
    if (reader.isControl) {
      if (reader.controlKind() === "abort") this.#aborting.delete(reader.producerId);
      return false;
    }
    return !reader.isTransactional || !this.#aborting.has(reader.producerId);
  }
}
