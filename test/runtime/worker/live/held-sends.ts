import { reasonOf, type Transport } from "../../../../runtime/index.ts";

/** A transport whose sends are held until the test lets each go, as if the broker were slow. */
export class HeldSends {
  readonly transport: Transport;
  readonly batches: Uint8Array[] = [];
  /** True: sends go through at once. */
  isOpen = false;
  readonly #held: { go: () => void; fail: (error: Error) => void }[] = [];

  constructor(inner: Transport) {
    this.transport = new Proxy(inner, {
      get: (target, name) => {
        if (name === "produce") return this.#produce.bind(this, target);
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]): unknown => Reflect.apply(member, target, args);
      },
    });
  }

  release(count = 1): void {
    for (const { go } of this.#held.splice(0, count)) go();
  }

  fail(error: Error): void {
    this.#held.shift()?.fail(error);
  }

  async #produce(inner: Transport, ...args: Parameters<Transport["produce"]>): Promise<number> {
    this.batches.push(args[2].slice());
    const signal = args[3];
    if (!this.isOpen) {
      await new Promise<void>((go, fail) => {
        this.#held.push({ go, fail });
        signal.addEventListener("abort", () => fail(reasonOf(signal)), { once: true });
      });
    }
    return await inner.produce(...args);
  }
}
