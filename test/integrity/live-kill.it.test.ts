/**
 * Goal: a process that is killed at any point loses nothing and doubles nothing (DESIGN §7).
 * Method: a live run in a process of its own gets `kill -9` at random points while its input is
 * unfinished; its successor goes on from the state store. Then the output topic must equal what a
 * plain loop computes from the input topic, record by record; and the state that the last one left must be, to the bit,
 * that of a task which has read as far and was never stopped. A round in which the kill hit before
 * anything was put out, or after everything was, proves nothing: there must be enough others.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openTransport } from "../../connectors/kafka/index.ts";
import { type Transport } from "../../runtime/index.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { describeWithServers, uniqueName } from "../harness/servers.ts";
import { type ChildOrder, startChild } from "./live-child.ts";
import { barsOf, keyNames, LiveLog, meansOf } from "./live-log.ts";
import { savedStates, statesAfter } from "./live-state.ts";
import { meanLength } from "./live-strategies.ts";

setDefaultTimeout(1_200_000);

const isSoak = process.env["QMTL_SOAK"] === "1";
const rounds = Number(process.env["QMTL_KILL_ROUNDS"] ?? (isSoak ? 50 : 3));
const seed = Number(process.env["QMTL_SEED"] ?? Date.now() % 1_000_000);
const directory = scratchDirectory();
const keys = keyNames(16);
const barsPerKey = 20_000;

/** Uniform in [0, 1), the same for the same seed. */
function chanceOf(start: number): () => number {
  let state = (start % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Rounds over one pair of topics: what is in them is compared as a whole at the end. */
const legRounds = 5;

/** Runs and kills over topics of their own; returns the kills that hit in the middle. */
async function killLeg(
  transport: Transport,
  { url, state, roundCount }: { url: string; state: string; roundCount: number },
  chance: () => number,
): Promise<number> {
  const log = new LiveLog(transport, 4);
  const [input, output] = [uniqueName("input"), uniqueName("means")];
  await log.make(input);
  await log.make(output);
  const order: ChildOrder = {
    strategy: "Means",
    transport: url,
    state,
    deployment: uniqueName("kill"),
    symbols: [input, output],
  };
  const expected = (barsPut: number): number => keys.length * Math.max(0, barsPut - meanLength + 1);
  let hits = 0;
  let put = 0;
  for (let round = 0; round < roundCount; round += 1) {
    await log.put(input, barsOf(keys, barsPerKey, put), 500);
    put += barsPerKey;
    const before = await log.count(output);
    const child = startChild(order);
    // Killed once it has put out a random share of what is there for it.
    await log.until(output, before + chance() * 0.8 * (expected(put) - before), 60_000);
    child.kill(9);
    await child.exited;
    const at = await log.count(output);
    if (at > before && at < expected(put)) hits += 1;
  }
  const last = startChild(order);
  await log.until(output, expected(put), 120_000);
  last.kill(9);
  await last.exited;
  const bars = await log.readAll(input);
  for (const [partition, own] of bars.entries()) {
    expect(await log.read(output, partition)).toEqual(meansOf(own));
  }
  const saved = await savedStates({ ...order, symbols: [input, output] }, bars.length);
  const taken = bars.map((own, partition) => own.slice(0, saved[partition]!.position));
  expect(taken.every((own) => own.length > 0)).toBe(true);
  expect(await statesAfter([input, output], taken)).toEqual([...saved]);
  expect(await log.count(output)).toBe(expected(put));
  return hits;
}

describeWithServers(["kafka", "redis"], "kill -9 of a live run", (started) => {
  for (const store of ["sqlite", "redis"] as const) {
    test(`${rounds} rounds over ${store} lose and double nothing (QMTL_SEED=${seed})`, async () => {
      console.log(`kill -9 of a live run over ${store}: ${rounds} rounds, QMTL_SEED=${seed}`);
      const chance = chanceOf(seed);
      const { kafka, redis } = started();
      const state = store === "sqlite" ? `sqlite:${join(directory, "kill.db")}` : redis.url;
      const transport = await openTransport(kafka.url, AbortSignal.timeout(60_000));
      let hits = 0;
      try {
        for (let done = 0; done < rounds; done += legRounds) {
          const roundCount = Math.min(legRounds, rounds - done);
          hits += await killLeg(transport, { url: kafka.url, state, roundCount }, chance);
        }
        expect(hits).toBeGreaterThanOrEqual(Math.ceil(rounds / 2));
      } finally {
        await transport.close();
      }
    });
  }
});
