import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type Coverage,
  type HistoryOpenOptions,
  type HistoryStore,
  hasCode,
  type Series,
} from "../../runtime/index.ts";
import { failureOf } from "./failure-of.ts";
import {
  always,
  at,
  barRows,
  bars,
  batchOf,
  minute,
  newSeries,
  noRows,
  pageOf,
  type Row,
  rowsOf,
  signal,
  t0,
  timeoutMs,
} from "./history-rows.ts";
import { uglyNames } from "./ugly-names.ts";

/** One store's data, kept until `dispose`; whatever server is behind it stays hidden. */
export interface HistorySubject {
  /** Opens the same data, as often as asked; a writer by default. */
  open(options?: Partial<HistoryOpenOptions>): Promise<HistoryStore>;
  dispose(): Promise<void>;
}

/** What each history store brings; the rules below are the same for all of them. */
export interface HistoryCase {
  readonly name: string;
  /** True if data outlives its openers. */
  readonly isDurable: boolean;
  /** Random histories to try; fewer where a write takes long. */
  readonly histories: number;
  /** A subject without data. */
  create(): Promise<HistorySubject>;
}

/** The contract of `runtime/contract/history-store.ts`. */
export function runHistoryStoreSuite(subject: HistoryCase): void {
  /** A test with a fresh subject and a writer on it; both are closed after. */
  const check = (
    claim: string,
    body: (store: HistoryStore, subject: HistorySubject) => Promise<void>,
  ): void => {
    const run = async (): Promise<void> => {
      const made = await subject.create();
      try {
        const store = await made.open();
        await body(store, made);
        await store.close();
      } finally {
        await made.dispose();
      }
    };
    test(`${subject.name}: ${claim}`, run, timeoutMs);
  };

  check("a series nobody wrote has no coverage and no rows, and is not listed", async (store) => {
    const series = newSeries();
    expect(await store.coverage(series, signal())).toEqual({ have: [], empty: [] });
    expect(await rowsOf(store, series)).toEqual([]);
    const listed = await store.list(signal());
    expect(listed.map((one) => one.nodeId)).not.toContain(series.nodeId);
  });

  check(
    "persist() makes rows and coverage visible to every reader (H2, H4)",
    async (store, fresh) => {
      const series = newSeries();
      const reader = await fresh.open({ mode: "read" });
      await store.persist(series, pageOf(barRows(0, 3), [bars(0, 3)]), signal());
      for (const any of [store, reader]) {
        expect(await rowsOf(any, series)).toEqual(barRows(0, 3));
        expect(await any.coverage(series, signal())).toEqual({ have: [bars(0, 3)], empty: [] });
        const listed = await any.list(signal());
        expect(listed.filter((one) => one.nodeId === series.nodeId)).toEqual([series]);
      }
      await reader.close();
    },
  );

  check("a series is listed with the name it was last stored with", async (store, fresh) => {
    const series = newSeries();
    const reader = await fresh.open({ mode: "read" });
    const listed = async (any: HistoryStore): Promise<readonly Series[]> =>
      (await any.list(signal())).filter(({ nodeId }) => nodeId === series.nodeId);
    const page = pageOf(barRows(0, 1), [bars(0, 1)]);
    await store.persist(series, page, signal());
    expect(await listed(store)).toEqual([series]);
    for (const name of ["first", ...uglyNames]) {
      await store.persist({ ...series, name }, page, signal());
      // A page without a name leaves the one there is.
      await store.persist(series, page, signal());
      for (const any of [store, reader]) expect(await listed(any)).toEqual([{ ...series, name }]);
    }
    await reader.close();
  });

  check(
    "a row written again replaces the one before; a page twice is a page once (H1)",
    async (store) => {
      const series = newSeries();
      const page = pageOf(barRows(0, 4), [bars(0, 4)]);
      await store.persist(series, page, signal());
      await store.persist(series, page, signal());
      await store.persist(series, pageOf([[at(2), 0, 99, 7]]), signal());
      const revised = barRows(0, 4).with(2, [at(2), 0, 99, 7]);
      expect(await rowsOf(store, series)).toEqual(revised);
      expect(await store.coverage(series, signal())).toEqual({ have: [bars(0, 4)], empty: [] });
    },
  );

  check("records of one ts are told apart by seq, up to 2^53 - 1 (H1, H3)", async (store) => {
    const series = newSeries({ interval: "1s" });
    const last = Number.MAX_SAFE_INTEGER;
    await store.persist(
      series,
      pageOf([
        [at(0), 8, 2, 0],
        [at(0), last, 3, 0],
      ]),
      signal(),
    );
    await store.persist(
      series,
      pageOf([
        [at(0), 7, 1, 0],
        [at(0), 8, 5, 0],
      ]),
      signal(),
    );
    const want = [
      [at(0), 7, 1, 0],
      [at(0), 8, 5, 0],
      [at(0), last, 3, 0],
    ];
    expect(await rowsOf(store, series)).toEqual(want);
  });

  check("pages may come in any order and off the grid; rows rise (H3)", async (store) => {
    const series = newSeries();
    const offGrid: Row = [at(1) + 14_789, 0, 5, 5];
    await store.persist(series, pageOf(barRows(5_000, 5_003), [bars(5_000, 5_003)]), signal());
    await store.persist(series, pageOf(barRows(0, 2), [bars(0, 2)]), signal());
    await store.persist(series, pageOf([offGrid, ...barRows(2, 4)], [bars(2, 4)]), signal());
    const want = [...barRows(0, 2), offGrid, ...barRows(2, 4), ...barRows(5_000, 5_003)];
    expect(await rowsOf(store, series)).toEqual(want);
    const have = [bars(0, 4), bars(5_000, 5_003)];
    expect(await store.coverage(series, signal())).toEqual({ have, empty: [] });
  });

  check("fetch() is half-open: the start is in, the end is out", async (store) => {
    const series = newSeries();
    await store.persist(series, pageOf(barRows(0, 2_100), [bars(0, 2_100)]), signal());
    for (const [from, to] of [
      [0, 1],
      [1_023, 1_025],
      [1_024, 1_024],
      [5, 2_100],
      [2_099, 9_999],
    ]) {
      const want = barRows(0, 2_100).slice(from, to);
      expect(await rowsOf(store, series, bars(from!, to!))).toEqual(want);
    }
    expect(await rowsOf(store, series, { start: at(3) + 1, end: at(4) + 1 })).toEqual(
      barRows(0, 5).slice(4),
    );
  });

  check(
    "values come back to the same float64: NaN, -0 as 0, ±2^53, the smallest, the largest",
    async (store) => {
      const series = newSeries();
      const prices = [Number.NaN, -0, 0.1, 2 ** 53, -(2 ** 53), 5e-324, 1.7976931348623157e308];
      const rows = prices.map((price, i): Row => [at(i), 0, price, 2 ** 53]);
      await store.persist(series, pageOf(rows), signal());
      const read = await rowsOf(store, series);
      // Nodes normalise -0 before a store sees it, so a store may keep either zero.
      expect(read.map((row) => row[2]! + 0)).toEqual(prices.map((price) => price + 0));
      expect(read.map((row) => row[3])).toEqual(prices.map(() => 2 ** 53));
    },
  );

  check("a confirmed-empty range is known and has no rows; rows found later win", async (store) => {
    const series = newSeries();
    await store.persist(series, { rows: noRows, have: [], empty: [bars(0, 10)] }, signal());
    expect(await store.coverage(series, signal())).toEqual({ have: [], empty: [bars(0, 10)] });
    expect(await rowsOf(store, series)).toEqual([]);
    await store.persist(series, pageOf(barRows(4, 6), [bars(4, 6)]), signal());
    const want: Coverage = { have: [bars(4, 6)], empty: [bars(0, 4), bars(6, 10)] };
    expect(await store.coverage(series, signal())).toEqual(want);
  });

  check("an empty page changes nothing", async (store) => {
    const series = newSeries();
    await store.persist(series, { rows: noRows, have: [], empty: [] }, signal());
    expect(await store.coverage(series, signal())).toEqual({ have: [], empty: [] });
    expect(await rowsOf(store, series)).toEqual([]);
  });

  check("a page with many ranges keeps every one of them", async (store) => {
    const series = newSeries();
    const have = Array.from({ length: 600 }, (_, i) => bars(3 * i, 3 * i + 1));
    const empty = Array.from({ length: 600 }, (_, i) => bars(3 * i + 1, 3 * i + 2));
    await store.persist(series, { rows: noRows, have, empty }, signal());
    expect(await store.coverage(series, signal())).toEqual({ have, empty });
  });

  check(
    "100,000 rows in one page come back in order, in batches of at most 65,536",
    async (store) => {
      const series = newSeries();
      const rows = barRows(0, 100_000);
      await store.persist(series, pageOf(rows, [bars(0, 100_000)]), signal());
      const read = await rowsOf(store, series);
      expect(read.length).toBe(100_000);
      expect(read.findIndex((row, i) => row[0] !== rows[i]![0] || row[2] !== rows[i]![2])).toBe(-1);
    },
  );

  check("arrays longer than the count are cut to it", async (store) => {
    const series = newSeries();
    const rows = { ...batchOf(barRows(0, 9)), count: 2 };
    await store.persist(series, { rows, have: [], empty: [] }, signal());
    expect(await rowsOf(store, series)).toEqual(barRows(0, 2));
  });

  check("forget() takes rows and coverage of its range and leaves all else", async (store) => {
    const series = newSeries();
    const other = newSeries({ key: "ETHUSDT" });
    for (const one of [series, other]) {
      await store.persist(one, pageOf(barRows(0, 3_000), [bars(0, 3_000)]), signal());
    }
    await store.forget(series, bars(10, 2_500), signal());
    expect(await rowsOf(store, series)).toEqual(barRows(0, 3_000).toSpliced(10, 2_490));
    const have = [bars(0, 10), bars(2_500, 3_000)];
    expect(await store.coverage(series, signal())).toEqual({ have, empty: [] });
    expect((await rowsOf(store, other)).length).toBe(3_000);
    await store.forget(series, always, signal());
    expect(await rowsOf(store, series)).toEqual([]);
    const listed = (await store.list(signal())).map((one) => one.nodeId);
    expect(listed).toContain(other.nodeId);
    expect(listed).not.toContain(series.nodeId);
    await store.persist(series, pageOf(barRows(3, 5), [bars(3, 5)]), signal());
    expect(await rowsOf(store, series)).toEqual(barRows(3, 5));
  });

  check(
    "keys with any characters keep their rows apart and come back as they were",
    async (store) => {
      const all = uglyNames.map((key) => newSeries({ key }));
      for (const [i, series] of all.entries()) {
        await store.persist(series, pageOf([[at(0), 0, i, 0]], [bars(0, 1)]), signal());
      }
      for (const [i, series] of all.entries()) {
        expect(await rowsOf(store, series)).toEqual([[at(0), 0, i, 0]]);
      }
      const listed = new Map((await store.list(signal())).map((one) => [one.nodeId, one]));
      for (const series of all) expect(listed.get(series.nodeId)).toEqual(series);
    },
  );

  check("months, weeks and seconds are stored like minutes", async (store) => {
    for (const interval of ["1M", "1w", "3d", "1s"] as const) {
      const series = newSeries({ interval });
      const rows = [Date.UTC(2017, 6, 1), Date.UTC(2017, 7, 1), Date.UTC(2031, 0, 1)];
      const want = rows.map((ts, i): Row => [ts, 0, i, i]);
      await store.persist(series, pageOf(want), signal());
      expect(await rowsOf(store, series)).toEqual(want);
    }
  });

  check("a page of another shape is refused and nothing of it is visible", async (store) => {
    const series = newSeries();
    await store.persist(series, pageOf(barRows(0, 1), [bars(0, 1)]), signal());
    const unordered = pageOf([...barRows(2, 3), ...barRows(1, 2)], [bars(1, 3)]);
    const doubled = pageOf([...barRows(1, 2), ...barRows(1, 2)], [bars(1, 2)]);
    const narrow = { rows: batchOf([[at(1), 0, 1]], 1), have: [bars(1, 2)], empty: [] };
    const timeless = pageOf([[Number.NaN, 0, 1, 1]], [bars(1, 2)]);
    for (const page of [unordered, doubled, narrow, timeless]) {
      const failure = await failureOf(store.persist(series, page, signal()));
      expect(hasCode(failure, "STORE_REJECTED")).toBe(true);
    }
    const otherFields = { ...series, schema: { price: "f64", volume: "f64" } as const };
    const failure = await failureOf(store.persist(otherFields, pageOf(barRows(1, 2)), signal()));
    expect(hasCode(failure, "STORE_REJECTED")).toBe(true);
    expect(await rowsOf(store, series)).toEqual(barRows(0, 1));
    expect(await store.coverage(series, signal())).toEqual({ have: [bars(0, 1)], empty: [] });
  });

  check("an aborted call rejects with the signal's reason and stores nothing", async (store) => {
    const series = newSeries();
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    const calls = [
      store.persist(series, pageOf(barRows(0, 1), [bars(0, 1)]), aborted),
      store.coverage(series, aborted),
      store.forget(series, always, aborted),
      store.list(aborted),
      Array.fromAsync(store.fetch(series, always, aborted)),
    ];
    for (const call of calls) expect(await failureOf(call)).toBe(reason);
    expect(await store.coverage(series, signal())).toEqual({ have: [], empty: [] });
  });

  check("fetch() stops at the next batch after an abort", async (store) => {
    const series = newSeries();
    await store.persist(series, pageOf(barRows(0, 100_000)), signal());
    const stop = new AbortController();
    const reading = (async (): Promise<void> => {
      for await (const batch of store.fetch(series, always, stop.signal)) {
        expect(batch.count).toBeLessThan(100_000);
        stop.abort(new Error("enough"));
      }
    })();
    expect(await failureOf(reading)).toBe(stop.signal.reason);
  });

  check(
    "a fetch that a write falls into yields each row once, in order (H5)",
    async (store, fresh) => {
      const series = newSeries();
      await store.persist(series, pageOf(barRows(0, 100_000)), signal());
      const reader = await fresh.open({ mode: "read" });
      const times: number[] = [];
      for await (const batch of reader.fetch(series, always, signal())) {
        times.push(...batch.ts.subarray(0, batch.count));
        const bar = (batch.ts[0]! - t0) / minute;
        await store.persist(series, pageOf(barRows(bar, bar + 2_000, 0.5)), signal());
      }
      expect(times).toEqual(Array.from({ length: 100_000 }, (_, i) => at(i)));
      await reader.close();
    },
  );

  check("rows appended while a fetch runs leave no hole in its answer", async (store, fresh) => {
    const series = newSeries();
    let stored = 8_300;
    await store.persist(series, pageOf(barRows(0, stored)), signal());
    const reader = await fresh.open({ mode: "read" });
    const times: number[] = [];
    for await (const batch of reader.fetch(series, always, signal())) {
      times.push(...batch.ts.subarray(0, batch.count));
      if (stored >= 60_000) continue;
      await store.persist(series, pageOf(barRows(stored, stored + 8_300)), signal());
      stored += 8_300;
    }
    expect(times.length).toBeGreaterThanOrEqual(8_300);
    expect(times.findIndex((ts, i) => ts !== at(i))).toBe(-1);
    await reader.close();
  });

  check("a reader may not write", async (store, fresh) => {
    const series = newSeries();
    const reader = await fresh.open({ mode: "read" });
    for (const call of [
      reader.persist(series, pageOf(barRows(0, 1)), signal()),
      reader.forget(series, always, signal()),
    ]) {
      expect(hasCode(await failureOf(call), "STORE_READ_ONLY")).toBe(true);
    }
    expect(await rowsOf(store, series)).toEqual([]);
    await reader.close();
  });

  check("a second writer is refused or merged, as the capabilities say", async (store, fresh) => {
    const series = newSeries();
    await store.persist(series, pageOf(barRows(0, 2), [bars(0, 2)]), signal());
    if (store.capabilities.writers === "single") {
      expect(hasCode(await failureOf(fresh.open()), "STORE_LOCKED")).toBe(true);
      await store.persist(series, pageOf(barRows(2, 4), [bars(2, 4)]), signal());
      await store.close();
      const next = await fresh.open();
      expect(await rowsOf(next, series)).toEqual(barRows(0, 4));
      await next.close();
      return;
    }
    const second = await fresh.open();
    await Promise.all([
      second.persist(series, pageOf(barRows(1, 3, 0.5), [bars(1, 3)]), signal()),
      store.persist(series, pageOf(barRows(3, 4), [bars(3, 4)]), signal()),
    ]);
    const want = [...barRows(0, 1), ...barRows(1, 3, 0.5), ...barRows(3, 4)];
    for (const any of [store, second]) {
      expect(await rowsOf(any, series)).toEqual(want);
      expect(await any.coverage(series, signal())).toEqual({ have: [bars(0, 4)], empty: [] });
    }
    await second.close();
  });

  check("simulated rows lie apart from real ones", async (store, fresh) => {
    const series = newSeries();
    const simulated = await fresh.open({ isSimulated: true });
    await simulated.persist(series, pageOf(barRows(0, 1), [bars(0, 1)]), signal());
    expect(await rowsOf(store, series)).toEqual([]);
    expect(await store.coverage(series, signal())).toEqual({ have: [], empty: [] });
    expect(await rowsOf(simulated, series)).toEqual(barRows(0, 1));
    await simulated.close();
  });

  check("close() may be called twice; every call after it gives STORE_CLOSED", async (store) => {
    const series = newSeries();
    await store.close();
    await store.close();
    const calls = [
      store.persist(series, pageOf([]), signal()),
      store.coverage(series, signal()),
      store.forget(series, always, signal()),
      store.list(signal()),
      Array.fromAsync(store.fetch(series, always, signal())),
    ];
    for (const call of calls) {
      expect(hasCode(await failureOf(call), "STORE_CLOSED")).toBe(true);
    }
  });

  if (subject.isDurable) {
    check("what was stored is there when the store is opened again", async (store, fresh) => {
      const series = newSeries();
      const empty = [bars(3, 5)];
      await store.persist(series, { ...pageOf(barRows(0, 3), [bars(0, 3)]), empty }, signal());
      await store.close();
      const again = await fresh.open();
      expect(await rowsOf(again, series)).toEqual(barRows(0, 3));
      expect(await again.coverage(series, signal())).toEqual({ have: [bars(0, 3)], empty });
      expect(await again.list(signal())).toContainEqual(series);
      await again.close();
    });
  }

  // Goal: H1 and H3 for every history. Method: random pages and cuts against a map by identity.
  check("random pages and cuts leave what a map by identity holds", async (store) => {
    // Bars 1000 to 1060 lie on both sides of a border of the 1,024-bar grid of any implementation.
    const bar = fc.integer({ min: 0, max: 60 });
    const rows = fc.uniqueArray(fc.tuple(bar, fc.nat(1)), { selector: String, maxLength: 30 });
    const write = fc.record({ kind: fc.constant("write" as const), rows });
    const cut = fc.record({ kind: fc.constant("cut" as const), from: bar, to: bar });
    const steps = fc.array(fc.oneof({ weight: 4, arbitrary: write }, cut), { maxLength: 8 });
    const grid = Math.ceil(t0 / minute / 1_024) * 1_024 * minute;
    const timeOf = (number: number): number => grid + (number - 30) * minute;
    const property = fc.asyncProperty(steps, async (history) => {
      const series = newSeries();
      const model = new Map<string, Row>();
      for (const [i, step] of history.entries()) {
        if (step.kind === "write") {
          const page = step.rows
            .map(([number, seq]): Row => [timeOf(number), seq, i, number])
            .toSorted((a, b) => a[0]! - b[0]! || a[1]! - b[1]!);
          await store.persist(series, pageOf(page), signal());
          for (const row of page) model.set(`${row[0]},${row[1]}`, row);
        } else {
          const range = { start: timeOf(step.from), end: timeOf(step.to) };
          await store.forget(series, range, signal());
          for (const [key, [ts = 0]] of model) {
            if (ts >= range.start && ts < range.end) model.delete(key);
          }
        }
      }
      const want = [...model.values()].toSorted((a, b) => a[0]! - b[0]! || a[1]! - b[1]!);
      expect(await rowsOf(store, series)).toEqual(want);
    });
    await fc.assert(property, { numRuns: subject.histories });
  });
}
