import { QmtlError } from "../../runtime/index.ts";

/** One opener's hold on data; the data goes when its last holder lets go. */
export class Share<Data> {
  readonly data: Data;
  readonly #letGo: () => void;
  #isHeld = true;

  constructor(data: Data, letGo: () => void) {
    this.data = data;
    this.#letGo = letGo;
  }

  /** The data of a store, for `action`. @throws QmtlError STORE_CLOSED once it is released. */
  use(action: string, signal: AbortSignal): Data {
    signal.throwIfAborted();
    if (this.#isHeld) return this.data;
    throw new QmtlError("STORE_CLOSED", `Cannot ${action}: the store is closed, wanted it open`);
  }

  /** Safe to call twice. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#letGo();
  }
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
    if (name === "") return new Share(create(), () => undefined);
    const entry = this.#byName.get(name) ?? { data: create(), holders: 0 };
    this.#byName.set(name, entry);
    entry.holders += 1;
    return new Share(entry.data, () => {
      entry.holders -= 1;
      if (entry.holders === 0) this.#byName.delete(name);
    });
  }
}
