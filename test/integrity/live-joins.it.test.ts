/**
 * Goal: a join over keys of several partitions gives what its inputs say, and a process that is
 * killed at any point loses and doubles nothing of it (DESIGN §7).
 * Method: bars with holes, put by partition; what every pair has to give is worked out by a plain
 * loop over the input topic as an independent decoder reads it, and compared key by key. For the
 * kills a run in a process of its own gets `kill -9` at random points while its input is
 * unfinished; a round in which that hit before anything was put out, or after everything was,
 * proves nothing: there must be enough others.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openTransport } from "../../connectors/kafka/index.ts";
import { Runner } from "../../runtime/index.ts";
import { chanceOf, killRounds, killSeed } from "../harness/kill-rounds.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { describeWithServers, uniqueName } from "../harness/servers.ts";
import { MortalSpreads, Spreads } from "./join-strategies.ts";
import { type ChildOrder, startChild } from "./live-child.ts";
import { barsOf, keyNames, LiveLog, type PlainBar } from "./live-log.ts";

setDefaultTimeout(600_000);

const directory = scratchDirectory();
const module = new URL("join-strategies.ts", import.meta.url).href;
const keys = keyNames(8);
/** Pairs of keys in all combinations of partitions; K0 is in several. */
const pairs = ["K0|K1", "K0|K2", "K0|K7", "K3|K4", "K5|K6", "K6|K7"];
/** A key lacks every seventh bar, each another one; the last of a period of 7 is nobody's hole. */
const holeEvery = 7;

/** Bars of all keys but the holes. `count` is a multiple of `holeEvery`. */
function holedBars(count: number, from = 0): readonly PlainBar[] {
  return barsOf(keys, count, from).filter((_, i) => {
    const [at, key] = [Math.floor(i / keys.length), i % keys.length];
    return at % holeEvery !== key % (holeEvery - 1);
  });
}

/** What `Spreads` has to emit for the bars of the whole input: `ts difference` by pair. */
function spreadsOf(bars: readonly PlainBar[]): ReadonlyMap<string, readonly string[]> {
  const closes = new Map(keys.map((key) => [key, new Map<number, number>()]));
  for (const { key, ts, value } of bars) closes.get(key)!.set(ts, value);
  return new Map(
    pairs.map((pair) => {
      const [a, b] = pair.split("|").map((key) => closes.get(key)!);
      const both = [...a!.keys()].filter((ts) => b!.has(ts)).toSorted((x, y) => x - y);
      return [pair, both.map((ts) => `${ts} ${a!.get(ts)! - b!.get(ts)!}`)];
    }),
  );
}

/** A topic's records by key, in the order of its partitions. */
async function byKey(log: LiveLog, topic: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>(pairs.map((pair) => [pair, []]));
  for (const [partition, own] of (await log.readAll(topic)).entries()) {
    for (const { key, ts, value } of own) {
      expect(log.partitionOf(key)).toBe(partition);
      found.get(key)!.push(`${ts} ${value}`);
    }
  }
  return found;
}

describeWithServers(["kafka", "redis"], "live joins over Kafka", (started) => {
  for (const threads of [1, 2]) {
    test(`${threads} threads join what a plain loop joins`, async () => {
      const transport = await openTransport(started().kafka.url, AbortSignal.timeout(60_000));
      try {
        const log = new LiveLog(transport, 4);
        const [input, output] = [uniqueName("input"), uniqueName("spreads")];
        await log.make(input);
        const bars = holedBars(700);
        await log.put(input, bars, 97);
        const report = await Runner.live(Spreads, {
          transport: started().kafka.url,
          symbols: [input, output, ...pairs],
          deployment: uniqueName("joins"),
          module,
          threads,
          until: { records: bars.length },
        });
        const wanted = spreadsOf(bars);
        expect(await byKey(log, output)).toEqual(wanted);
        const outputs = [...wanted.values()].flat().length;
        expect(report).toMatchObject({ threads, records: bars.length, outputs, crashes: 0 });
      } finally {
        await transport.close();
      }
    });
  }

  for (const given of ["with", "without"]) {
    test(`a thread that dies ${given} a state store comes back to what it joined`, async () => {
      const transport = await openTransport(started().kafka.url, AbortSignal.timeout(60_000));
      try {
        const log = new LiveLog(transport, 4);
        const [input, output] = [uniqueName("input"), uniqueName("spreads")];
        await log.make(input);
        await log.make(output);
        const [first, second] = [holedBars(2_100), holedBars(2_100, 2_100)];
        const file = join(directory, input);
        const crashed = Promise.withResolvers<void>();
        const running = Runner.live(MortalSpreads, {
          transport: started().kafka.url,
          ...(given === "with" ? { state: `sqlite:${file}.db` } : {}),
          symbols: [file, input, output, ...pairs],
          deployment: uniqueName("joins"),
          module,
          threads: 2,
          pace: { checkpointMs: 20, partitionBytesMax: 4_096, fetchBytesMax: 65_536 },
          until: { records: first.length + second.length },
          onCrash: () => crashed.resolve(),
        });
        await log.put(input, first, 97);
        await log.until(output, 1_000);
        writeFileSync(`${file}.exit`, "");
        await crashed.promise;
        await log.put(input, second, 97);
        expect(await running).toMatchObject({ records: first.length + second.length, crashes: 1 });
        expect(await byKey(log, output)).toEqual(spreadsOf([...first, ...second]));
      } finally {
        await transport.close();
      }
    });
  }

  for (const store of ["sqlite", "redis"] as const) {
    test(`${killRounds} kills over ${store} lose and double nothing of a join (QMTL_SEED=${killSeed})`, async () => {
      const chance = chanceOf(killSeed);
      const { kafka, redis } = started();
      const transport = await openTransport(kafka.url, AbortSignal.timeout(600_000));
      const log = new LiveLog(transport, 4);
      const [input, output] = [uniqueName("input"), uniqueName("spreads")];
      await log.make(input);
      await log.make(output);
      const order: ChildOrder = {
        strategy: "Spreads",
        transport: kafka.url,
        state: store === "sqlite" ? `sqlite:${join(directory, "joins.db")}` : redis.url,
        deployment: uniqueName("joins"),
        symbols: [input, output, ...pairs],
      };
      const barsPerRound = 1_000 * holeEvery;
      let put: readonly PlainBar[] = [];
      let hits = 0;
      const expected = (): number => [...spreadsOf(put).values()].flat().length;
      try {
        for (let round = 0; round < killRounds; round += 1) {
          const bars = holedBars(barsPerRound, round * barsPerRound);
          await log.put(input, bars, 500);
          put = [...put, ...bars];
          const before = await log.count(output);
          const child = startChild(order);
          await log.until(output, before + chance() * 0.8 * (expected() - before), 60_000);
          child.kill(9);
          await child.exited;
          const at = await log.count(output);
          if (at > before && at < expected()) hits += 1;
        }
        const last = startChild(order);
        await log.until(output, expected(), 120_000);
        last.kill(9);
        await last.exited;
        expect(await byKey(log, output)).toEqual(spreadsOf(put));
        expect(hits).toBeGreaterThanOrEqual(Math.ceil(killRounds / 2));
      } finally {
        await transport.close();
      }
    });
  }
});
