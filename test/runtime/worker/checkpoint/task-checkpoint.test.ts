import { expect, test } from "bun:test";
import { openState } from "../../../../connectors/memory/index.ts";
import { Join, Node, Operator, StreamInput } from "../../../../nodes/index.ts";
import { hasCode, QmtlError, type StateStore } from "../../../../runtime/index.ts";
import { ColumnStore } from "../../../../runtime/window/column-store.ts";
import { StorePart } from "../../../../runtime/worker/checkpoint/parts.ts";
import { TaskCheckpoint } from "../../../../runtime/worker/checkpoint/task-checkpoint.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { acquired } from "../../../contract/state-model.ts";
import { type Emitted, price, TaskRun } from "../../../harness/task-run.ts";

const signal = AbortSignal.timeout(60_000);
const name = "deployment/0/0";
const at = (offset: number): { offsets: Record<string, number>; ends: Record<string, number> } => ({
  offsets: { bars: offset },
  ends: { out: offset * 2 },
});

/** Numbers that look like nothing in particular, the same for one seed. */
function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A store of one series that grows, with its checkpoint. */
function subject(store: StateStore, plan = "plan", period = 4) {
  const rows = new ColumnStore(period, 1, 1);
  const checkpoint = new TaskCheckpoint(name, store, [new StorePart(rows)], plan);
  const append = (ts: number): void => {
    const place = rows.append(0);
    rows.values[place] = ts;
    rows.values[place + rows.stride] = ts / 3;
    rows.closes[0] = ts + 1;
  };
  const times = (): number[] => {
    const end = rows.ends[0]!;
    return [...rows.values.subarray(end - rows.rows[0]!, end)];
  };
  return { checkpoint, append, times };
}

test("a task without a checkpoint restores nothing; later owners get position and state", async () => {
  const store = await openState("memory:", signal);
  const first = subject(store);
  expect(await first.checkpoint.restore(signal)).toBeUndefined();
  for (let ts = 1; ts <= 6; ts += 1) {
    first.append(ts);
    await first.checkpoint.commit(first.checkpoint.snapshot(), at(ts), signal);
  }
  // What came after the last commit is not there.
  first.append(7);
  const second = subject(store);
  expect(await second.checkpoint.restore(signal)).toMatchObject(at(6));
  expect(second.times()).toEqual([3, 4, 5, 6]);
  second.append(7);
  await second.checkpoint.commit(second.checkpoint.snapshot(), at(7), signal);
  const third = subject(store);
  expect(await third.checkpoint.restore(signal)).toMatchObject(at(7));
  expect(third.times()).toEqual([4, 5, 6, 7]);
  await third.checkpoint.drop(signal);
  expect(await subject(store).checkpoint.restore(signal)).toBeUndefined();
});

test("an owner whose task was taken is CHECKPOINT_FENCED and changes nothing", async () => {
  const store = await openState("memory:", signal);
  const [zombie, owner] = [subject(store), subject(store)];
  await zombie.checkpoint.restore(signal);
  await owner.checkpoint.restore(signal);
  owner.append(1);
  await owner.checkpoint.commit(owner.checkpoint.snapshot(), at(1), signal);
  zombie.append(99);
  const commit = zombie.checkpoint.commit(zombie.checkpoint.snapshot(), at(99), signal);
  expect(await failureOf(commit)).toMatchObject({ code: "CHECKPOINT_FENCED" });
  const next = subject(store);
  expect(await next.checkpoint.restore(signal)).toMatchObject(at(1));
  expect(next.times()).toEqual([1]);
});

test("state of another plan is CHECKPOINT_PLAN_CHANGED, with both plans named", async () => {
  const store = await openState("memory:", signal);
  const first = subject(store, "plan A");
  await first.checkpoint.restore(signal);
  first.append(1);
  await first.checkpoint.commit(first.checkpoint.snapshot(), at(1), signal);
  const failure = await failureOf(subject(store, "plan B").checkpoint.restore(signal));
  const details = { found: "plan A", wanted: "plan B" };
  expect(failure).toMatchObject({ code: "CHECKPOINT_PLAN_CHANGED", details });
  // The refused state is not lost.
  expect(await subject(store, "plan A").checkpoint.restore(signal)).toMatchObject(at(1));
});

test("meta or state that can't be read is CHECKPOINT_CORRUPT", async () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const meta = bytes(JSON.stringify({ format: 2, epoch: 1, plan: "plan", ...at(1) }));
  const cases = [
    { meta: bytes("not JSON"), delta: new Uint8Array(0) },
    { meta: bytes("null"), delta: new Uint8Array(0) },
    { meta, delta: bytes("no piece of ours") },
  ];
  for (const one of cases) {
    const store = await openState("memory:", signal);
    const { epoch } = await acquired(store, name, signal);
    const commit = { epoch, commit: 1, swapsBase: false, ...one };
    expect(await store.commit(name, commit, signal)).toBe("OK");
    const failure = await failureOf(subject(store).checkpoint.restore(signal));
    expect(failure).toMatchObject({ code: "CHECKPOINT_CORRUPT" });
  }
});

test("state for more parts than the plan has is CHECKPOINT_CORRUPT", async () => {
  const store = await openState("memory:", signal);
  const [a, b] = [new ColumnStore(2, 1, 1), new ColumnStore(2, 1, 1)];
  const two = new TaskCheckpoint(name, store, [new StorePart(a), new StorePart(b)], "plan");
  await two.restore(signal);
  await two.commit(two.snapshot(), at(1), signal);
  const failure = await failureOf(subject(store).checkpoint.restore(signal));
  expect(failure).toMatchObject({ code: "CHECKPOINT_CORRUPT" });
});

/** A store that fails each call of `store` first, either before it has taken effect or after. */
function flaky(store: StateStore, chance: () => number): StateStore {
  const lost = new QmtlError("STORE_UNAVAILABLE", "Cannot commit: found no answer, wanted one");
  const seen = new Set<string>();
  const once = async <Result>(call: string, run: () => Promise<Result>): Promise<Result> => {
    if (seen.has(call)) return await run();
    seen.add(call);
    if (chance() < 0.5) await run();
    throw lost;
  };
  return {
    ...store,
    warnings: [],
    acquire: async (task, on) => await store.acquire(task, on),
    stageBase: async (task, piece, on) =>
      await once(
        `${piece.commit} ${piece.index}`,
        async () => await store.stageBase(task, piece, on),
      ),
    commit: async (task, commit, on) =>
      await once(`${commit.commit}`, async () => await store.commit(task, commit, on)),
    drop: async (task, on) => await store.drop(task, on),
  };
}

// Goal: Q2 and Q3. Method: every call fails once, half of them after they took effect; rows are
// large enough that the log outgrows the base several times.
test("commits of unknown outcome are repeated, and a log that outgrew its base becomes one", async () => {
  const store = await openState("memory:", signal);
  let swaps = 0;
  const counted: StateStore = flaky(store, chanceOf(7));
  const watching: StateStore = {
    ...counted,
    commit: async (task, commit, on) => {
      const result = await counted.commit(task, commit, on);
      if (commit.swapsBase && result !== "GAP") swaps += 1;
      return result;
    },
  };
  const period = 30_000;
  const first = subject(watching, "plan", period);
  await first.checkpoint.restore(signal);
  let ts = 0;
  for (let commit = 1; commit <= 12; commit += 1) {
    for (let i = 0; i < 20_000; i += 1) first.append((ts += 1));
    await first.checkpoint.commit(first.checkpoint.snapshot(), at(ts), signal);
    const copy = subject(store, "plan", period);
    // A look at what is stored, under the epoch of a store of its own, takes nothing away.
    if (commit % 4 !== 0) continue;
    expect(await copy.checkpoint.restore(signal)).toMatchObject(at(ts));
    expect(copy.times()).toEqual(first.times());
    await first.checkpoint.restore(signal);
  }
  expect(swaps).toBeGreaterThan(1);
  const { base, log } = await acquired(store, name, signal);
  const sizeOf = (parts: readonly Uint8Array[]): number => parts.reduce((n, p) => n + p.length, 0);
  expect(base.length).toBeGreaterThan(0);
  // Q3: never more than twice the base and one delta.
  expect(sizeOf(log)).toBeLessThan(2 * Math.max(sizeOf(base), 2 ** 20) + period * 16);
});

const m = 60_000;

/** A graph with what has state: windows, rolling values, an operator, a coarser node, a join. */
function newRun(): TaskRun {
  const stream = (label: string, interval: string, symbols: string[], period: number) =>
    new StreamInput({ name: label, symbols, interval, period, schema: price });
  const bars = stream("bars", "1m", ["A", "B", "C"], 20);
  const slow = stream("slow", "5m", ["A", "B", "C"], 3);
  const rolling = new Node({
    name: "rolling",
    input: bars,
    lookback: 20,
    schema: { mean: "f64", std: "f64" },
    compute: (w) => ({ mean: w.column("close").mean(), std: w.column("close").std() }),
  });
  const smooth = new Operator({
    name: "smooth",
    input: bars,
    lookback: 1,
    state: 1,
    schema: { value: "f64" },
    step(w, _params, state, out) {
      const last = state[0]!;
      const close = w.value("close");
      state[0] = Number.isNaN(last) ? close : last * 0.9 + close * 0.1;
      out.value = state[0];
      return true;
    },
  });
  const five = new Node({
    name: "five",
    input: bars,
    interval: "5m",
    lookback: 3,
    schema: { sum: "f64" },
    compute: (w) => ({ sum: w.column("close").sum() }),
  });
  const joined = new Join({
    name: "joined",
    inputs: { bars, slow, rolling },
    schema: { x: "f64" },
    compute: ({ bars: b, slow: s, rolling: r }) => ({
      x: b.value("close") - s.value("close") + r.value("mean"),
    }),
  });
  return new TaskRun([rolling, smooth, five, joined]);
}

/** Bars in the order of their times, with gaps, and marks behind them. */
function feedOf(seed: number, bars: number): readonly ((run: TaskRun) => void)[] {
  const chance = chanceOf(seed);
  const steps: ((run: TaskRun) => void)[] = [];
  for (let i = 0; i < bars; i += 1) {
    for (const key of ["A", "B", "C"]) {
      const close = 100 + Math.floor(chance() * 1_000) / 7;
      if (chance() < 0.9) steps.push((run) => void run.feed("bars", key, [i * m, close]));
      if (i % 5 === 4 && chance() < 0.9) {
        steps.push((run) => void run.feed("slow", key, [(i - 4) * m, close * 2]));
      }
    }
    if (chance() < 0.6) steps.push((run) => void run.advance((i + 1) * m));
  }
  return steps;
}

/** Outputs of each node and key in the order they came; a flush hands out node after node. */
function bySeries(emitted: readonly Emitted[]): readonly Emitted[] {
  const seriesOf = ([node, key]: Emitted): string => `${node} ${key}`;
  return emitted.toSorted((a, b) =>
    seriesOf(a) < seriesOf(b) ? -1 : seriesOf(a) > seriesOf(b) ? 1 : 0,
  );
}

// Goal: a restart from a checkpoint equals a run that never stopped (DESIGN §7). Method: the same
// bars go to one task, and to tasks that each run a random while, commit, and are left for a fresh
// one that restores; what each did after its last commit is thrown away and done again.
test.each([1, 2, 3, 4, 5, 6])(
  "tasks killed at random and restored emit what one task emits (seed %p)",
  async (seed) => {
    const steps = feedOf(seed, 150);
    const whole = newRun();
    for (const step of steps) step(whole);
    const want = whole.take();
    expect(new Set(want.map(([node]) => node)).size).toBe(4);

    const chance = chanceOf(seed + 100);
    const store = await openState("memory:", signal);
    const got: Emitted[] = [];
    let done = 0;
    while (done < steps.length) {
      const run = newRun();
      const checkpoint = new TaskCheckpoint(name, store, run.task.parts(), "plan");
      const position = await checkpoint.restore(signal);
      expect(position?.offsets["bars"] ?? 0).toBe(done);
      // Dies after some steps, of which those after the last commit are lost with it.
      const dies = done + 1 + Math.floor(chance() * 200);
      for (let i = done; i < Math.min(dies, steps.length); i += 1) {
        steps[i]!(run);
        if (chance() > 0.1 && i + 1 < steps.length) continue;
        got.push(...run.take());
        await checkpoint.commit(checkpoint.snapshot(), at(i + 1), signal);
        done = i + 1;
      }
    }
    expect(got.length).toBe(want.length);
    expect(bySeries(got)).toEqual(bySeries(want));
  },
);

test("the errors of a store that are not of the network pass at once", async () => {
  const store = await openState("memory:?bytesMax=1024", signal);
  const first = subject(store, "plan", 1_000);
  await first.checkpoint.restore(signal);
  for (let ts = 0; ts < 500; ts += 1) first.append(ts);
  const failure = await failureOf(
    first.checkpoint.commit(first.checkpoint.snapshot(), at(1), signal),
  );
  expect(hasCode(failure, "STORE_FULL")).toBe(true);
});
