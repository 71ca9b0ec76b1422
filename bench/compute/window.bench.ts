/**
 * Cost of one record into its window: the floor under every node.
 * Measures: 64 keys, 9 columns, a window of 60, time and lateness checked; one value read.
 * Does not measure: decoding, nodes.
 */
import { StreamInput } from "../../nodes/index.ts";
import { type MicroSuite } from "../harness.ts";
import {
  bars,
  closeColumn,
  keyCount,
  keys,
  makeMarket,
  sumOfCloses,
  windowLength,
} from "../market.ts";
import { TaskFeed } from "./task-feed.ts";

/** Records pushed into windows. */
export const window: MicroSuite = {
  name: "window",
  rows: 12_800,
  open(wanted) {
    const market = makeMarket(wanted);
    const { batch } = market;
    const rows = batch.count;
    const digest = sumOfCloses(market);
    const stream = new StreamInput({
      symbols: keys,
      interval: "1m",
      period: windowLength,
      schema: bars,
    });
    const feed = new TaskFeed([stream], market);
    const { store } = feed.loop;
    const closeAt = (closeColumn + 1) * store.stride;
    const ours = (): number => {
      let sum = 0;
      feed.lap((key) => {
        sum += store.values[key * store.slotSize + store.ends[key]! - 1 + closeAt]!;
      });
      return sum;
    };
    const fields = Object.keys(bars);
    const windows = keys.map(() => [] as (readonly [number, Record<string, number>])[]);
    const objects = (): number => {
      let sum = 0;
      for (let i = 0; i < rows; i += 1) {
        const own = windows[i % keyCount]!;
        const record: Record<string, number> = {};
        for (let c = 0; c < fields.length; c += 1) record[fields[c]!] = batch.columns[c]![i]!;
        own.push([batch.ts[i]!, record]);
        if (own.length > windowLength) own.shift();
        sum += own.at(-1)![1]["close"]!;
      }
      return sum;
    };
    const targets = batch.columns.map((column) => new Float64Array(column.length));
    const copy = (): number => {
      for (const [i, column] of batch.columns.entries()) targets[i]!.set(column);
      return targets[closeColumn]![0]!;
    };
    return {
      cases: [
        { name: "window push", role: "ours", rows, digest, run: ours },
        { name: "[ts, record] in an array", role: "baseline", rows, digest, run: objects },
        {
          name: "copy of the same columns",
          role: "limit",
          rows,
          digest: batch.columns[closeColumn]![0]!,
          run: copy,
        },
      ],
    };
  },
};
