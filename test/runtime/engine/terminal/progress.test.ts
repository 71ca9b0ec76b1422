import { expect, test } from "bun:test";
import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { createProgress } from "../../../../runtime/engine/terminal/progress.ts";

/** A stream that keeps what is written, as a terminal or not. */
function screen(isTTY: boolean) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  });
  Object.assign(stream, { isTTY, columns: 120, cursorTo: () => true, moveCursor: () => true });
  return {
    stream: stream as unknown as NodeJS.WriteStream,
    text: () => stripVTControlCharacters(written.join("")),
  };
}

const step = (done: number, total = 100) =>
  ({ kind: "backfill", label: "BTCUSDT 1m", done, total }) as const;

test("elsewhere than on a terminal: plain lines, the first and the last of each label", () => {
  const { stream, text } = screen(false);
  const view = createProgress(stream, true);
  for (let done = 10; done <= 100; done += 10) view.show(step(100 * done, 10_000));
  view.show({ kind: "note", text: "by the way" });
  view.close();
  const lines = text().trimEnd().split("\n");
  expect(lines).toEqual([
    "backfill BTCUSDT 1m: 1,000 of 10,000 bars",
    expect.stringMatching(/^backfill BTCUSDT 1m: 10,000 of 10,000 bars, .* bars\/s$/) as string,
    "by the way",
  ]);
});

test("on a terminal: a bar with rows, speed and time left", () => {
  const { stream, text } = screen(true);
  const view = createProgress(stream, true);
  view.show(step(10));
  view.show(step(100));
  view.close();
  view.close();
  expect(text()).toMatch(/backfill +BTCUSDT 1m +\[.+\] 100\/100 · .* bars\/s · ETA/);
});

test("without progress, notes are still told", () => {
  const { stream, text } = screen(true);
  const view = createProgress(stream, false);
  view.show(step(10));
  view.show({ kind: "note", text: "by the way" });
  view.close();
  expect(text()).toBe("by the way\n");
});
