import { expect, test } from "bun:test";
import { pack } from "msgpackr";
import { Node, sma } from "../../../../nodes/index.ts";
import { StreamInput, type StreamInputOptions } from "../../../../nodes/stream-input.ts";
import { type FetchedBytes, type Schema } from "../../../../runtime/index.ts";
import { fetched, fixed, type LogRecord, logBatch } from "./log-bytes.ts";
import { PartitionRun } from "./partition-run.ts";

const minute = 60_000;
const bar = { close: "f64", volume: "u64", trades: "u32" } as const satisfies Schema;
type Bar = typeof bar;

function bars(more: Partial<StreamInputOptions<Bar>> = {}): StreamInput<Bar> {
  const base = { topic: "in", symbols: "*", interval: "1m", period: 8, schema: bar } as const;
  return new StreamInput({ ...base, ...more });
}

const runOver = (more: Partial<StreamInputOptions<Bar>> = {}): PartitionRun => {
  const input = bars(more);
  return new PartitionRun([input, sma(input, "close", { length: 2, name: "mean" })]);
};

const value = (ts: number, close: number, volume = 1, trades = 1): Uint8Array =>
  fixed("fuw", [ts, close, volume, trades]);

const records = (key: string, closes: readonly number[]): readonly LogRecord[] =>
  closes.map((close, i) => ({ key, value: value(i * minute, close) }));

const one = (...list: readonly LogRecord[]): FetchedBytes => fetched([logBatch(list)]);

test("consume() reads any producer's encoding to the same windows and outputs", () => {
  const rows = [
    [0, 1.5, 10, 7],
    [minute, 2, 2 ** 40, 2 ** 32 - 1],
    [2 * minute, -0.25, 0, 0],
    [3 * minute, Number.NaN, 2 ** 53 - 1, 5],
    [4 * minute, 1e300, 3, 1],
  ] as const;
  const named = ([ts, close, volume, trades]: readonly number[]): object => ({
    trades,
    ts,
    volume,
    close: Number.isNaN(close) ? null : close,
    other: "ignored",
  });
  const forms: readonly ((row: readonly number[]) => Uint8Array | string)[] = [
    (row) => fixed("fuw", row),
    (row) => new Uint8Array(pack(row.map((each) => (Number.isNaN(each) ? null : each)))),
    (row) => new Uint8Array(pack(named(row))),
    (row) => JSON.stringify(named(row)),
    (row) => JSON.stringify(row),
  ];
  const runs = forms.map((form) => {
    const answer = one(...rows.map((row) => ({ key: "BTC", value: form(row) })));
    return runOver().consume(answer);
  });
  expect(runs[0]!.window("BTC")).toEqual(rows.map((row) => [...row]));
  expect(runs[0]!.outputs.slice(0, 2)).toEqual([
    ["mean", "BTC", minute, 1.75],
    ["mean", "BTC", 2 * minute, 0.875],
  ]);
  expect(runs[0]!.partition.counts.slowPath).toBe(0);
  for (const run of runs.slice(1)) {
    expect(run.window("BTC")).toEqual(runs[0]!.window("BTC"));
    expect(run.outputs).toEqual(runs[0]!.outputs);
    expect(run.partition.counts).toMatchObject({ records: 5, slowPath: 5, deadLetters: 0 });
  }
});

test("a number that is none, minus zero and 2^53 are kept as the wire format says", () => {
  const run = runOver().consume(
    one(
      { key: "A", value: value(0, Number.NaN, 2 ** 53 - 1) },
      { key: "A", value: value(minute, -0, 0) },
      { key: "A", value: value(2 * minute, 1, 2 ** 53) },
      { key: "A", value: fixed("fuw", [3 * minute, 1, 2 ** 54, 1]) },
      { key: "A", value: value(4 * minute, Number.POSITIVE_INFINITY) },
    ),
  );
  const window = run.window("A");
  expect(window.map(([ts]) => ts)).toEqual([0, minute, 2 * minute]);
  expect(window[0]![1]).toBeNaN();
  expect(Object.is(window[1]![1], 0)).toBe(true);
  expect(window[2]![2]).toBe(2 ** 53);
  expect(run.letters.map(({ offset, reason }) => [offset, reason])).toEqual([
    [3, "unsafe_integer"],
    [4, "infinite"],
  ]);
});

test("a record that is none becomes a dead letter with place, reason, key and value; the next one is read", () => {
  const run = runOver().consume(
    one(
      { key: "A", value: value(0, 1) },
      { key: "A", value: "{broken" },
      { key: null, value: value(minute, 2) },
      { key: "A", value: null },
      { key: "A", value: fixed("f", [minute, 1]) },
      { key: "A", value: value(minute, 3) },
    ),
  );
  const text = (bytes: Uint8Array | undefined): string | undefined =>
    bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  expect(
    run.letters.map(({ partition, offset, reason, key }) => [partition, offset, reason, text(key)]),
  ).toEqual([
    [5, 1, "invalid_json", "A"],
    [5, 2, "key_missing", undefined],
    [5, 3, "empty", "A"],
    [5, 4, "field_count", "A"],
  ]);
  expect(text(run.letters[0]!.value)).toBe("{broken");
  expect(run.letters[1]!.value).toEqual(value(minute, 2));
  expect(run.letters[2]!.value).toBeUndefined();
  expect(run.outputs).toEqual([["mean", "A", minute, 2]]);
  expect(run.partition.counts).toMatchObject({ records: 6, deadLetters: 4, foreign: 0 });
  expect(run.partition.nextOffset).toBe(6);
});

test('keys of a "*" stream beyond maxKeys, and keys longer than any symbol, are dead letters', () => {
  const run = runOver({ maxKeys: 2 });
  const closes = [1, 2];
  run.consume(one(...["A", "B", "C", "x".repeat(1_025)].flatMap((key) => records(key, closes))));
  expect(run.letters.map(({ offset, reason }) => [offset, reason])).toEqual([
    [4, "keys_max"],
    [5, "keys_max"],
    [6, "key_too_long"],
    [7, "key_too_long"],
  ]);
  expect(run.outputs.map(([, key]) => key)).toEqual(["A", "B"]);
});

test("keys that a stream does not list are counted as foreign, however many there are", () => {
  const run = runOver({ symbols: ["B", "A"] });
  const others = Array.from({ length: 20_000 }, (_, i) => ({ key: `X${i}`, value: value(0, 1) }));
  const long = { key: "x".repeat(2_000), value: value(0, 1) };
  run.consume(one(...records("A", [1, 2]), ...others, long, ...records("B", [3, 5])));
  expect(run.partition.counts).toMatchObject({ records: 20_005, foreign: 20_001, deadLetters: 0 });
  expect(run.partition.keys.count).toBe(2);
  expect(run.partition.loop.store.slots).toBe(2);
  expect(run.outputs).toEqual([
    ["mean", "A", minute, 1.5],
    ["mean", "B", minute, 4],
  ]);
});

test("a node over some of a listed stream's keys runs for these keys only", () => {
  const all = bars({ symbols: ["A", "B"] });
  const some = bars({ symbols: ["B"] });
  const count = new Node({
    name: "last",
    input: some,
    lookback: 1,
    schema: { close: "f64" },
    compute: (window) => ({ close: window.value("close", -1) }),
  });
  const run = new PartitionRun([all, count]);
  run.consume(one(...records("A", [1]), ...records("B", [2])));
  expect(run.outputs).toEqual([["last", "B", 0, 2]]);
});

test("records below the position are skipped, also in the middle of a batch", () => {
  const run = runOver();
  run.partition.nextOffset = 13;
  run.consume(fetched([logBatch(records("A", [1, 2, 3, 4, 5, 6]), { at: 10 })]));
  expect(run.window("A").map(([, close]) => close)).toEqual([4, 5, 6]);
  expect(run.partition.counts.records).toBe(3);
  expect(run.partition.nextOffset).toBe(16);
  // The same bytes once more, as after a fetch that was repeated: nothing is taken twice.
  run.consume(fetched([logBatch(records("A", [1, 2, 3, 4, 5, 6]), { at: 10 })]));
  expect(run.partition.counts.records).toBe(3);
});

test("compressed batches of each codec give what plain ones give", () => {
  const closes = Array.from({ length: 500 }, (_, i) => Math.sin(i));
  const plain = runOver().consume(fetched([logBatch(records("A", closes))]));
  expect(plain.outputs).toHaveLength(499);
  for (const compression of ["gzip", "snappy", "lz4", "zstd"] as const) {
    const batch = logBatch(records("A", closes), { compression });
    expect(batch[22]! & 7).not.toBe(0);
    expect(runOver().consume(fetched([batch])).outputs).toEqual(plain.outputs);
  }
});

test("control batches and aborted transactions are passed over, position included", () => {
  const producer = { producerId: 7, producerEpoch: 0, baseSequence: 0 };
  const marker = [{ key: Uint8Array.of(0, 0, 0, 0), value: Uint8Array.of(0) }];
  const run = runOver().consume(
    fetched(
      [
        logBatch(records("A", [1]), { at: 0, producer, attributes: 0x10 }),
        logBatch(records("B", [2]), { at: 1 }),
        logBatch(marker, { at: 2, producer, attributes: 0x30 }),
        logBatch(records("C", [3]), { at: 3, producer, attributes: 0x10 }),
      ],
      { abortedTransactions: [{ producerId: 7, firstOffset: 0 }] },
    ),
  );
  expect(["A", "B", "C"].map((key) => run.window(key).length)).toEqual([0, 1, 1]);
  expect(run.partition.counts.records).toBe(2);
  expect(run.partition.nextOffset).toBe(4);
});

test("late records and duplicates change nothing and are counted", () => {
  const run = runOver();
  const times = [0, 2, 1, 2, 3];
  run.consume(one(...times.map((t, i) => ({ key: "A", value: value(t * minute, i) }))));
  expect(run.window("A").map(([, close]) => close)).toEqual([0, 1, 4]);
  expect(run.partition.loop.counts).toEqual({ accepted: 3, late: 1, duplicate: 1 });
});

test("a corrupt batch is no node's doing, and the position stays before it", () => {
  const run = runOver();
  const bad = logBatch(records("A", [3]), { at: 2 });
  bad[80]! ^= 0xff;
  const answer = fetched([logBatch(records("A", [1, 2])), bad]);
  expect(() => run.consume(answer)).toThrow("checksum");
  expect(run.heartbeat[0]).toBe(-1);
  expect(run.partition.nextOffset).toBe(2);
});

test("the heartbeat names the node that threw", () => {
  const input = bars();
  const throws = new Node({
    name: "throws",
    input,
    lookback: 1,
    schema: { close: "f64" },
    compute: (window) => {
      if (window.value("close", -1) === 666) throw new Error("on purpose");
      return undefined;
    },
  });
  const run = new PartitionRun([sma(input, "close", { length: 1 }), throws]);
  expect(() => run.consume(one(...records("A", [1, 666])))).toThrow(
    'Cannot compute "throws" for A',
  );
  expect(run.heartbeat[0]).toBe(2);
});

test("quarantined nodes and what reads from them emit nothing, others go on", () => {
  const input = bars();
  const first = sma(input, "close", { length: 1, name: "first" });
  const second = sma(first, "sma", { length: 1, name: "second" });
  const other = sma(input, "close", { length: 2, name: "other" });
  const run = new PartitionRun([second, other], new Set([1]));
  expect(run.consume(one(...records("A", [1, 3]))).outputs).toEqual([["other", "A", minute, 2]]);
  expect(run.partition.nextOffset).toBe(2);
});
