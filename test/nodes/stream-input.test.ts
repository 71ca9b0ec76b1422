import { expect, test } from "bun:test";
import { kline, StreamInput } from "../../nodes/index.ts";

const plain = { symbol: "BTCUSDT", interval: "1m", period: 10, schema: kline } as const;

test("a stream takes a symbol or symbols, each once, without |", () => {
  expect(new StreamInput(plain).declaration.symbols).toEqual(["BTCUSDT"]);
  const { symbol: _, ...rest } = plain;
  expect(new StreamInput({ ...rest, symbols: "*" }).declaration.symbols).toBe("*");
  for (const [symbols, text] of [
    [[], "found 0 symbols"],
    [["A", "A"], 'found the symbol "A" twice'],
    [["A|B"], 'found the symbol "A|B"'],
  ] as const) {
    expect(() => new StreamInput({ ...rest, symbols })).toThrow(text);
  }
  expect(() => new StreamInput(rest)).toThrow("found neither symbol nor symbols");
  expect(() => new StreamInput({ ...plain, symbols: ["A"] })).toThrow("found both");
});

test("intervals and periods have several spellings; none of them, or none at all, is named", () => {
  const of = (interval: unknown, period: unknown) =>
    new StreamInput({ ...plain, interval, period } as never).declaration;
  expect(of(60, "7d")).toMatchObject({ interval: "1m", period: 10_080 });
  expect(of("60s", 1)).toMatchObject({ interval: "1m", period: 1 });
  expect(() => of("7m", 1)).toThrow('found "7m"');
  expect(() => of(undefined, 1)).toThrow("none was given");
  expect(() => of("1m", undefined)).toThrow("none was given");
  expect(() => of("1m", 0)).toThrow("found 0");
});

test("historyProvider and eventRecorder are fixed after construction and name one store", () => {
  const store = { url: "sqlite:a.db" };
  const stream = new StreamInput({ ...plain, historyProvider: store, eventRecorder: store });
  expect(stream.declaration.store).toBe("sqlite:a.db");
  expect([stream.historyProvider, stream.eventRecorder]).toEqual([store, store]);
  expect(() => {
    (stream as { historyProvider: unknown }).historyProvider = { url: "sqlite:b.db" };
  }).toThrow(TypeError);
  expect(() => {
    (stream.declaration as { store: string }).store = "sqlite:b.db";
  }).toThrow(TypeError);
  expect(
    () =>
      new StreamInput({ ...plain, historyProvider: store, eventRecorder: { url: "sqlite:b.db" } }),
  ).toThrow('historyProvider names "sqlite:a.db", eventRecorder "sqlite:b.db", wanted one store');
});

test("names, tags and key limits are checked", () => {
  expect(new StreamInput({ ...plain, tags: ["b", "a"] }).declaration.tags).toEqual(["a", "b"]);
  expect(() => new StreamInput({ ...plain, tags: ["a", "a"] })).toThrow("each once");
  expect(() => new StreamInput({ ...plain, tags: ["a b"] })).toThrow('the tag "a b"');
  expect(() => new StreamInput({ ...plain, name: "" })).toThrow("its name has 0 characters");
  expect(() => new StreamInput({ ...plain, maxKeys: 0 })).toThrow("maxKeys is 0");
});
