import { errorText, QmtlError } from "../../../runtime/index.ts";
import { addressText, type BrokerAddress } from "./address.ts";
import { FrameReceiver } from "./frame-receiver.ts";
import { Link, type TlsSettings } from "./link.ts";
import { type Api, RequestWriter } from "./request-writer.ts";
import { type FrameRange, ResponseReader } from "./response-reader.ts";

/** Who we are to the broker. */
export interface Login {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly user: string;
  readonly password: string;
}

/** What every connection of a transport shares; each limit as `config.ts` describes it. */
export interface WireSettings {
  readonly clientId: string;
  readonly connectMsMax: number;
  readonly stallMsMax: number;
  readonly requestMsMax: number;
  readonly requestBytesMax: number;
  readonly responseBytesMax: number;
  readonly tls: TlsSettings | undefined;
  readonly login: Login | undefined;
}

/** One request and how its answer is read. Both run at once or not at all, and in place. */
export interface Call<T> {
  readonly api: Api;
  /** The broker may rightly stay silent this long before it answers, in ms. */
  readonly serverWaitMs?: number;
  /** Writes the request's own fields; runs when the request is sent. */
  encode(writer: RequestWriter): void;
  /** Reads the answer's own fields. Views on them are gone when it returns, unless kept. */
  decode(reader: ResponseReader): T;
}

interface Pending {
  readonly call: Call<unknown>;
  readonly correlationId: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Time it has waited, in ms of a running event loop. */
  ageMs: number;
}

/** Requests that wait for their answer on one connection; more wait here for their turn. */
const inFlightMax = 16;
const tickMs = 100;

/**
 * Requests and answers over one link, in order.
 *
 *   C1  Every call settles: with its answer, or with the error that ended the connection.
 *   C2  Silence for `stallMsMax`, on top of what the oldest request allows, ends the connection:
 *       a frozen broker keeps its sockets open, so nobody else will say so.
 *   C3  Time is counted in ticks of the event loop: a pause of our own process is no silence.
 *   C4  An error has `sent` in its details: false if the broker cannot have seen the request.
 *   C5  A broker that throttles us reads nothing more for the time it named: no silence either.
 */
export class Connection {
  readonly #address: BrokerAddress;
  readonly #settings: WireSettings;
  readonly #writer = new RequestWriter();
  readonly #reader = new ResponseReader();
  readonly #frames: FrameReceiver;
  readonly #inFlight: Pending[] = [];
  readonly #waiting: Pending[] = [];
  #link: Link | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #correlationId = 0;
  #quietMs = 0;
  #throttledUntilMs = 0;
  #failure: QmtlError | undefined;

  private constructor(address: BrokerAddress, settings: WireSettings) {
    this.#address = address;
    this.#settings = settings;
    this.#frames = new FrameReceiver(settings.responseBytesMax, (bytes, view, range) =>
      this.#onFrame(bytes, view, range),
    );
  }

  /** A connection without login; see `Link.open` for what it throws. */
  static async open(
    address: BrokerAddress,
    settings: WireSettings,
    signal: AbortSignal,
  ): Promise<Connection> {
    const connection = new Connection(address, settings);
    const events = {
      onData: (chunk: Uint8Array) => connection.#onData(chunk),
      onClose: (reason: QmtlError) => connection.destroy(reason),
    };
    connection.#link = await Link.open({ address, tls: settings.tls, events }, signal);
    return connection;
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** True if no call waits for an answer. */
  get isIdle(): boolean {
    return this.#inFlight.length === 0;
  }

  /** Sends `call` when fewer than 16 answers are owed. */
  async request<T>(call: Call<T>): Promise<T> {
    const failure = this.#failure;
    if (failure !== undefined) throw withSent(failure, false);
    return await new Promise<T>((resolve, reject) => {
      const pending: Pending = {
        call,
        correlationId: (this.#correlationId = (this.#correlationId + 1) & 0x7fffffff),
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it is what decode() gave
        resolve: (value) => resolve(value as T),
        reject,
        ageMs: 0,
      };
      if (this.#inFlight.length < inFlightMax) this.#send(pending);
      else this.#waiting.push(pending);
    });
  }

  /** The broker has said that it reads nothing for `ms` (C5). */
  throttled(ms: number): void {
    this.#throttledUntilMs = Math.max(this.#throttledUntilMs, performance.now() + ms);
  }

  /** Ends the connection and every call on it; safe to call twice. */
  destroy(reason: QmtlError): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    clearInterval(this.#timer);
    this.#link?.destroy();
    for (const pending of this.#inFlight.splice(0)) pending.reject(withSent(reason, true));
    for (const pending of this.#waiting.splice(0)) pending.reject(withSent(reason, false));
  }

  #send(pending: Pending): void {
    const { call, correlationId } = pending;
    let request: Uint8Array;
    try {
      this.#writer.begin(call.api, correlationId, this.#settings.clientId);
      call.encode(this.#writer);
      request = this.#writer.finish();
    } catch (error) {
      pending.reject(error);
      return;
    }
    if (this.#inFlight.length === 0) this.#quietMs = 0;
    this.#inFlight.push(pending);
    this.#timer ??= setInterval(() => this.#tick(), tickMs);
    this.#link?.write(request);
  }

  #onData(chunk: Uint8Array): void {
    this.#quietMs = 0;
    try {
      this.#frames.push(chunk);
    } catch (error) {
      this.destroy(error instanceof QmtlError ? error : this.#failed(errorText(error)));
    }
  }

  #onFrame(
    bytes: Uint8Array<ArrayBuffer>,
    view: DataView<ArrayBuffer>,
    range: FrameRange,
  ): boolean {
    const pending = this.#inFlight[0];
    const reader = this.#reader;
    reader.open(bytes, view, range);
    const correlationId = reader.int32();
    if (pending?.correlationId !== correlationId) {
      throw this.#failed(`it answered request ${correlationId}, not ${pending?.correlationId}`);
    }
    const value = pending.call.decode(reader);
    this.#inFlight.shift();
    pending.resolve(value);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#send(next);
    return reader.isKept;
  }

  #tick(): void {
    const oldest = this.#inFlight[0];
    if (oldest === undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    if (performance.now() < this.#throttledUntilMs) return;
    this.#quietMs += tickMs;
    oldest.ageMs += tickMs;
    const allowedMs = oldest.call.serverWaitMs ?? 0;
    const { stallMsMax, requestMsMax } = this.#settings;
    const what = `an answer to ${oldest.call.api.name}`;
    if (this.#quietMs > stallMsMax + allowedMs) {
      this.destroy(this.#failed(`it was silent for ${this.#quietMs} ms, wanted ${what}`));
    } else if (oldest.ageMs > requestMsMax + allowedMs) {
      this.destroy(this.#failed(`it took ${oldest.ageMs} ms, wanted ${what}`));
    }
  }

  #failed(found: string): QmtlError {
    const broker = addressText(this.#address);
    return new QmtlError("TRANSPORT_UNAVAILABLE", `Cannot talk to the broker ${broker}: ${found}`, {
      broker,
    });
  }
}

/** `error` of one call: the same, and whether the broker may have seen the request. */
export function withSent(error: QmtlError, sent: boolean): QmtlError {
  return new QmtlError(error.code, error.message, { ...error.details, sent }, error);
}
