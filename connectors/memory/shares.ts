/** One opener's hold on data; the data goes when its last holder lets go. */
export interface Share<Data> {
  readonly data: Data;
  /** Safe to call twice. */
  release(): void;
}

/**
 * Data that the openers of one name share, by name.
 *
 * Two runs must not meet (DESIGN §7), so an empty name always gives fresh data; a name is the
 * caller's own wish to share, within this thread. Data lives exactly as long as somebody holds it:
 * keeping it until the end of the process would be a leak with no name to free it by.
 */
export class Shares<Data> {
  readonly #byName = new Map<string, { readonly data: Data; holders: number }>();

  /** The data of `name`, made by `create` if nobody holds it. */
  hold(name: string, create: () => Data): Share<Data> {
    if (name === "") return { data: create(), release: () => undefined };
    const entry = this.#byName.get(name) ?? { data: create(), holders: 0 };
    this.#byName.set(name, entry);
    entry.holders += 1;
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      entry.holders -= 1;
      if (entry.holders === 0) this.#byName.delete(name);
    };
    return { data: entry.data, release };
  }
}
