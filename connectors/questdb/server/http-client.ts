import { z } from "zod";
import { type Clock, errorText, hasCode, QmtlError, reasonOf } from "../../../runtime/index.ts";
import { type QuestdbConfig } from "../config.ts";

/** What the client is made of, so that tests own time and chance. */
export interface ClientParts {
  readonly config: QuestdbConfig;
  readonly clock: Clock;
  /** Number in [0, 1): spreads the retries of many clients. */
  readonly chance: () => number;
}

/** Lines the server refused: nothing of the request is stored, or nothing that may not be sent again. */
export interface Refusal {
  /** The server's words. */
  readonly reason: string;
  /** 1-based line it names, if it names one. */
  readonly line: number | undefined;
}

/** Rows of a query's answer. */
export type Rows = readonly (readonly unknown[])[];

const backoffMsBase = 50;
const backoffMsMax = 2_000;

const queryAnswer = z.object({ dataset: z.array(z.array(z.unknown())).default([]) });
const errorAnswer = z.object({
  error: z.string().optional(),
  message: z.string().optional(),
  line: z.number().int().optional(),
});

/** Refusals of a query that pass by themselves: somebody else changes the same table. */
const passing = /busy|schema has changed|out of date|could not lock|timeout|table is being/i;

/** True if the server may accept the same query a little later. */
export function isPassing(reason: string): boolean {
  return passing.test(reason);
}

/**
 * SQL and lines over HTTP. Every request may be sent again: a write carries its identity (DEDUP),
 * a statement says `IF NOT EXISTS` or sets what it found.
 *
 *   C1  Faults that may pass (network, silence, 5xx, 429) are tried again with full jitter until
 *       the signal aborts or `retryMsMax` is over: STORE_UNAVAILABLE.
 *   C2  A refusal is told at once, in the server's words.
 */
export class HttpClient {
  readonly #parts: ClientParts;
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #closing = new AbortController();

  constructor(parts: ClientParts) {
    const { host, port, tls } = parts.config;
    this.#parts = parts;
    this.#base = `${tls === undefined ? "http" : "https"}://${host}:${port}`;
    const login = loginOf(parts.config);
    this.#headers = login === undefined ? {} : { authorization: login };
  }

  /**
   * Rows that `sql` answers.
   *
   * @throws QmtlError STORE_REJECTED with the server's words, STORE_UNAVAILABLE, CONFIG_INVALID
   *   if the user or password is wrong; the signal's reason.
   */
  async query(sql: string, signal: AbortSignal): Promise<Rows> {
    return await this.#exec(sql, this.#parts.config.requestMsMax, signal);
  }

  /**
   * Runs an UPDATE. It is never given up while the server may still run it: an UPDATE that ran
   * late, after the caller went on, would change rows that were written since.
   */
  async update(sql: string, signal: AbortSignal): Promise<void> {
    await this.#exec(sql, Number.POSITIVE_INFINITY, signal);
  }

  /** Sends lines; resolves once they are in the table's log, or refused. */
  async write(lines: Uint8Array, signal: AbortSignal): Promise<Refusal | undefined> {
    return await this.retried("write rows", signal, async () => {
      const init = { method: "POST", body: lines };
      const answer = await this.#ask("/write", init, this.#parts.config.requestMsMax, signal);
      if (answer.status < 300) return undefined;
      const told = errorAnswer.safeParse(jsonOf(answer.text));
      const reason = told.data?.message ?? answer.text.slice(0, 500);
      const fault = this.#faultOfStatus(answer.status, "write rows", reason);
      if (fault !== undefined) throw fault;
      return { reason: reason.replaceAll(/\s+/g, " ").trim(), line: told.data?.line };
    });
  }

  /** Ends what is under way, and all that is asked later, with `reason`. */
  close(reason: Error): void {
    this.#closing.abort(reason);
  }

  /** Runs `attempt` until it does not fail with STORE_UNAVAILABLE (C1). */
  async retried<T>(action: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { clock, config, chance } = this.#parts;
    const endMs = clock.now() + config.retryMsMax;
    for (let tries = 1; ; tries += 1) {
      signal.throwIfAborted();
      try {
        return await attempt();
      } catch (error) {
        if (signal.aborted) throw reasonOf(signal);
        if (this.#closing.signal.aborted) throw reasonOf(this.#closing.signal);
        if (!hasCode(error, "STORE_UNAVAILABLE")) throw error;
        if (clock.now() >= endMs) {
          const text = `${error.message} (tried ${tries} times in ${config.retryMsMax} ms)`;
          throw new QmtlError(
            "STORE_UNAVAILABLE",
            text,
            { ...error.details, action, tries },
            error,
          );
        }
      }
      const waitMs = Math.min(backoffMsMax, backoffMsBase * 2 ** (tries - 1));
      await clock.sleep(Math.ceil(chance() * waitMs), signal);
    }
  }

  /** The server cannot be reached, or did not answer as it should; it is worth another try. */
  unavailable(action: string, found: string, cause?: unknown): QmtlError {
    const { host, port } = this.#parts.config;
    return new QmtlError(
      "STORE_UNAVAILABLE",
      `Cannot ${action}: QuestDB at ${host}:${port} ${found}, wanted an answer`,
      { host, port },
      cause,
    );
  }

  async #exec(sql: string, silenceMsMax: number, signal: AbortSignal): Promise<Rows> {
    return await this.retried("query", signal, async () => {
      const path = `/exec?query=${encodeURIComponent(sql)}`;
      const answer = await this.#ask(path, { method: "GET" }, silenceMsMax, signal);
      const json = jsonOf(answer.text);
      if (answer.status < 300) {
        const rows = queryAnswer.safeParse(json);
        if (rows.success) return rows.data.dataset;
        throw this.unavailable("query", "answered what is no result");
      }
      const told = errorAnswer.safeParse(json).data;
      const reason = told?.error ?? told?.message ?? answer.text.slice(0, 500);
      const fault = this.#faultOfStatus(answer.status, "query", reason);
      if (fault !== undefined) throw fault;
      if (isPassing(reason)) throw this.unavailable("query", `said "${reason}"`);
      const text = `Cannot run "${sql.slice(0, 200)}": QuestDB said "${reason}", wanted it accepted`;
      throw new QmtlError("STORE_REJECTED", text, { reason });
    });
  }

  /** What an answer's status alone says; undefined if it is a refusal of what was sent. */
  #faultOfStatus(status: number, action: string, reason: string): QmtlError | undefined {
    if (status >= 500 || status === 429 || status === 408) {
      return this.unavailable(action, `answered ${status} "${reason}"`);
    }
    if (status !== 401 && status !== 403) return undefined;
    const { host, port, user } = this.#parts.config;
    return new QmtlError(
      "CONFIG_INVALID",
      `Cannot ${action}: QuestDB at ${host}:${port} refused the user "${user ?? ""}" with ${status}, wanted questdb://USER:PASSWORD@HOST:PORT`,
      { host, port, status },
    );
  }

  async #ask(
    path: string,
    init: { readonly method: string; readonly body?: Uint8Array },
    silenceMsMax: number,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const ending = new AbortController();
    const stop = (): void => ending.abort();
    const silent = `no answer for ${silenceMsMax} ms`;
    const timer = Number.isFinite(silenceMsMax) ? setTimeout(stop, silenceMsMax) : undefined;
    const stops = [signal, this.#closing.signal];
    for (const one of stops) one.addEventListener("abort", stop, { once: true });
    if (this.#closing.signal.aborted) stop();
    try {
      const ca = this.#parts.config.tls?.ca;
      const response = await fetch(`${this.#base}${path}`, {
        ...init,
        ...(ca === undefined ? {} : { tls: { ca } }),
        headers: this.#headers,
        signal: ending.signal,
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      const found = ending.signal.aborted ? silent : errorText(error);
      throw this.unavailable("reach the store", `gave "${found}"`, error);
    } finally {
      clearTimeout(timer);
      for (const one of stops) one.removeEventListener("abort", stop);
    }
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not JSON: the schema that reads it says so.
    return undefined;
  }
}

/** A password without a user is a token. */
function loginOf({ user, password }: QuestdbConfig): string | undefined {
  if (user === undefined) return password === undefined ? undefined : `Bearer ${password}`;
  return `Basic ${Buffer.from(`${user}:${password ?? ""}`).toString("base64")}`;
}
