/** Texts whose functions are kept; the oldest goes first. */
const textsMax = 256;

type Maker = (...values: unknown[]) => unknown;

const makers = new Map<string, Maker>();

/**
 * Runs generated code: `body` with each of `values` under its name; returns what it returns.
 *
 * One text is compiled once a thread, and all that it makes share what the engine learns of it: 8
 * partitions with a text each took 8 times the memory and warm-up. What must not be shared, as it
 * calls other functions, puts a comment of its own into its text.
 */
export function runGenerated(
  body: string,
  values: Readonly<Record<string, unknown>> = {},
): unknown {
  const names = Object.keys(values);
  const text = `${names.join()}\n${body}`;
  let maker = makers.get(text);
  if (maker === undefined) {
    const [oldest] = makers.keys();
    if (makers.size === textsMax && oldest !== undefined) makers.delete(oldest);
    // oxlint-disable-next-line typescript/no-implied-eval, typescript/no-unsafe-type-assertion -- callers put constants, numbers and checked identifiers into the text, never input
    maker = new Function(...names, body) as Maker;
    makers.set(text, maker);
  }
  return maker(...Object.values(values));
}
