/**
 * Goal: a mistake in a strategy is caught by the compiler, with a message a reader understands.
 * Method: the compiler itself runs over a file of right statements and a file of wrong ones; each
 * wrong one says, in the line above, what the message must contain.
 */
import { expect, test } from "bun:test";

const folder = `${import.meta.dir}/types`;

interface Wanted {
  readonly line: number;
  readonly text: string;
}

async function compile(): Promise<string> {
  const tsc = `${import.meta.dir}/../../node_modules/.bin/tsc`;
  const run = Bun.spawn([tsc, "--noEmit", "--pretty", "false", "-p", folder], { stdout: "pipe" });
  return await new Response(run.stdout).text();
}

test("right statements compile; each wrong one fails with its own message", async () => {
  const output = await compile();
  expect(output).not.toContain("good.ts");
  const found = new Map<number, string>();
  let line = 0;
  for (const text of output.split("\n")) {
    const start = /bad\.ts\((\d+),\d+\): error/.exec(text);
    if (start !== null) line = Number(start[1]);
    found.set(line, `${found.get(line) ?? ""}${text}\n`);
  }
  const source = (await Bun.file(`${folder}/bad.ts`).text()).split("\n");
  const wanted = source.flatMap((text, i): Wanted[] => {
    const match = /\/\/ wants: (.+)$/.exec(text);
    return match?.[1] === undefined ? [] : [{ line: i + 2, text: match[1] }];
  });
  expect(wanted).toHaveLength(11);
  for (const { line: at, text } of wanted) expect(`${at}: ${found.get(at)}`).toContain(text);
  expect([...found.keys()].filter((at) => at > 0)).toEqual(wanted.map(({ line: at }) => at));
});
