import { expect, test } from "bun:test";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { paceDefaults } from "../../../../../runtime/engine/live/live-limits.ts";
import { type FetchedBytes, type FetchPosition, QmtlError } from "../../../../../runtime/index.ts";
import { BoardRow, newBoardMemory } from "../../../../../runtime/worker/live/board.ts";
import { type OffsetReset } from "../../../../../runtime/worker/live/live-order.ts";
import {
  type Feed,
  FeedPositions,
} from "../../../../../runtime/worker/live/loop/feed-positions.ts";
import { failureOf } from "../../../../contract/failure-of.ts";
import { barsOf, LiveLog } from "../../../../integrity/live-log.ts";

const signal = AbortSignal.timeout(20_000);

function feedOf(topic: string, position: number): Feed {
  return {
    topic,
    isInput: topic === "in",
    isHeld: false,
    position,
    reader: { partition: 0, nextOffset: position },
  };
}

function answerOf(topic: string, nextOffset: number): FetchedBytes {
  const bytes = new Uint8Array(0);
  return { topic, partition: 0, baseOffset: 0, nextOffset, stableEnd: nextOffset, bytes };
}

/** Positions over a partition whose offsets are 10 to 20, and those that were fetched from it. */
function positionsOf(offsetReset: OffsetReset = "fail") {
  const fetched: (readonly FetchPosition[])[] = [];
  const row = new BoardRow(newBoardMemory(1), 0);
  const positions = new FeedPositions<Feed>({
    order: { offsetReset, pace: paceDefaults },
    row,
    transport: {
      endsOf: async (_topic, partitions) => partitions.map(() => ({ start: 10, end: 20 })),
      offsetAt: async (_topic, _partition, timeMs) => timeMs / 1_000,
      fetch: async (at) => {
        fetched.push(at);
        return [];
      },
    },
  });
  return { positions, row, fetched };
}

/** A fetch that found `offset` gone from `topic`. */
function lost(topic: string, offset: number): Promise<never> {
  const details = { topic, partition: 0, offset, start: 10, end: 20 };
  return Promise.reject(new QmtlError("OFFSET_OUT_OF_RANGE", "Cannot fetch: gone", details));
}

test("feeds of one partition share a fetch, from the hindmost of them on (P1)", async () => {
  const { positions, fetched } = positionsOf();
  const feeds = [feedOf("in", 15), feedOf("in", 12), feedOf("other", 3)];
  for (const feed of feeds) positions.add(feed);
  await positions.fetch(signal);
  expect(fetched).toEqual([
    [
      { topic: "in", partition: 0, offset: 12 },
      { topic: "other", partition: 0, offset: 3 },
    ],
  ]);
  // What is behind the first of the two is new to the second alone; none goes back.
  positions.ahead(answerOf("in", 14));
  expect(feeds.map(({ position }) => position)).toEqual([15, 14, 3]);
});

test("a feed that is held is not fetched and takes nothing (P2)", async () => {
  const { positions, fetched } = positionsOf();
  const [free, held] = [feedOf("in", 15), feedOf("in", 12)];
  for (const feed of [free, held]) positions.add(feed);
  held.isHeld = true;
  await positions.fetch(signal);
  expect(fetched).toEqual([[{ topic: "in", partition: 0, offset: 15 }]]);
  expect(positions.readersOf(answerOf("in", 18))).toEqual([free]);
});

test("a feed that went back takes nothing of the answer on its way, but of the next (P3)", () => {
  const { positions } = positionsOf();
  const feed = feedOf("in", 15);
  positions.add(feed);
  feed.reader.nextOffset = 11;
  positions.goBack(feed);
  expect(feed.position).toBe(11);
  const underWay = answerOf("in", 18);
  positions.ahead(underWay);
  expect(feed.position).toBe(11);
  expect(positions.readersOf(underWay)).toEqual([]);
  positions.taken();
  expect(positions.readersOf(answerOf("in", 13))).toEqual([feed]);
});

test("fetchAgain() fetches some feeds from where their readers are", async () => {
  const { positions, fetched } = positionsOf();
  const [some, other] = [feedOf("in", 15), feedOf("other", 12)];
  for (const feed of [some, other]) positions.add(feed);
  some.reader.nextOffset = 11;
  positions.goBack(some);
  await positions.fetchAgain([some], signal);
  expect(fetched).toEqual([[{ topic: "in", partition: 0, offset: 11 }]]);
  expect(positions.readersOf(answerOf("in", 13))).toEqual([some]);
});

test("startOf() is what offsetReset says, and the end of a repartition topic", async () => {
  const begins = async (offsetReset: OffsetReset, topic = "in"): Promise<number> =>
    await positionsOf(offsetReset).positions.startOf(feedOf(topic, 0), signal);
  expect(await begins("fail")).toBe(10);
  expect(await begins("earliest")).toBe(10);
  expect(await begins("latest")).toBe(20);
  expect(await begins(17_000)).toBe(17);
  expect(await begins("earliest", "forwarded")).toBe(20);
});

test("a position that is gone moves to where offsetReset says, and is counted (P4)", async () => {
  for (const [offsetReset, wanted] of [
    ["earliest", 10],
    ["latest", 20],
    [17_000, 17],
  ] as const) {
    const { positions, row } = positionsOf(offsetReset);
    const [gone, there] = [feedOf("in", 5), feedOf("in", 14)];
    for (const feed of [gone, there]) positions.add(feed);
    expect(await positions.answersOf(lost("in", 5), signal)).toEqual([]);
    expect([gone.position, gone.reader.nextOffset]).toEqual([wanted, wanted]);
    expect(there.position).toBe(14);
    expect(row.get("offsetResets")).toBe(1);
  }
});

test("a position that is gone from a repartition topic moves to the oldest record (P4)", async () => {
  const { positions, row } = positionsOf("latest");
  const feed = feedOf("forwarded", 5);
  positions.add(feed);
  await positions.answersOf(lost("forwarded", 5), signal);
  expect(feed.position).toBe(10);
  expect(row.get("offsetResets")).toBe(1);
});

test("without offsetReset a position that is gone is a failure that says what to give", async () => {
  const { positions } = positionsOf("fail");
  positions.add(feedOf("in", 5));
  const failure = await failureOf(positions.answersOf(lost("in", 5), signal));
  expect(failure).toMatchObject({ code: "OFFSET_OUT_OF_RANGE", details: { offset: 5 } });
  expect(String(failure)).toContain('give offsetReset ("earliest", "latest" or a time in ms;');
});

test("answersOf() gives nothing if the run was stopped, and fails with anything else", async () => {
  const { positions } = positionsOf("earliest");
  const stop = new AbortController();
  stop.abort(new Error("stopped on purpose"));
  const ended = Promise.reject(stop.signal.reason);
  expect(await positions.answersOf(ended, stop.signal)).toEqual([]);
  const failure = new Error("broken on purpose");
  expect(await failureOf(positions.answersOf(Promise.reject(failure), stop.signal))).toBe(failure);
});

test("what is fetched of a real log begins at the position, and moves it to its end", async () => {
  const transport = await openTransport("memory:", signal);
  const log = new LiveLog(transport, 1);
  await log.make("in");
  await log.put("in", barsOf(["A"], 10), 5);
  const order = { offsetReset: "earliest", pace: paceDefaults } as const;
  const row = new BoardRow(newBoardMemory(1), 0);
  const positions = new FeedPositions<Feed>({ order, transport, row });
  const feed = feedOf("in", 5);
  positions.add(feed);
  const [answer] = await positions.fetch(signal);
  expect([answer!.baseOffset, answer!.nextOffset]).toEqual([5, 10]);
  positions.ahead(answer!);
  expect(feed.position).toBe(10);
  await transport.close();
});
