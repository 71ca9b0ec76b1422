/** Waits between tries: doubled from `firstMs` to `lastMs`, each cut by up to half at random. */
export class BackOff {
  readonly #firstMs: number;
  readonly #lastMs: number;
  #tries = 0;

  constructor(firstMs: number, lastMs: number) {
    this.#firstMs = firstMs;
    this.#lastMs = lastMs;
  }

  /** The next wait, ms. The random part keeps clients from coming back all at once. */
  next(): number {
    const fullMs = Math.min(this.#lastMs, this.#firstMs * 2 ** Math.min(this.#tries, 30));
    this.#tries += 1;
    return fullMs * (0.5 + Math.random() / 2);
  }

  /** Begins again with the shortest wait. */
  reset(): void {
    this.#tries = 0;
  }
}
