import { hasCode, QmtlError, systemClock } from "../../../runtime/index.ts";
import { addressText, type BrokerAddress } from "../wire/address.ts";
import { type Call, Connection, type WireSettings, withSent } from "../wire/connection.ts";
import { BackOff } from "./back-off.ts";
import { beginSession } from "./handshake.ts";

/**
 * One connection to one broker, made when it is first needed and again whenever it broke.
 *
 *   disconnected ── call ──► opening ──► open ── broken, silent, login over ──► disconnected
 *        ▲                      │ failed: wait, longer each time
 *        └──────────────────────┘
 *
 * A call fails with the connection it was on and is never repeated here: only the caller knows
 * whether that is safe.
 */
export class Channel {
  readonly address: BrokerAddress;
  readonly #settings: WireSettings;
  readonly #closing = new AbortController();
  readonly #backOff = new BackOff(50, 1_000);
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #notBeforeMs = 0;

  constructor(address: BrokerAddress, settings: WireSettings) {
    this.address = address;
    this.#settings = settings;
  }

  /** True if the last try to connect succeeded and what came of it still stands. */
  get isOpen(): boolean {
    return this.#connection?.isOpen === true;
  }

  /**
   * Sends `call`.
   *
   * @throws QmtlError as `Connection.request` and `beginSession` do; TRANSPORT_CLOSED.
   */
  async call<T>(call: Call<T>): Promise<T> {
    return await (await this.#ready()).request(call);
  }

  /** The broker has said, on the connection that stands, that it reads nothing for `ms`. */
  throttled(ms: number): void {
    this.#connection?.throttled(ms);
  }

  /** Ends it for good. */
  close(reason: QmtlError): void {
    this.#closing.abort(reason);
    this.#connection?.destroy(reason);
  }

  async #ready(): Promise<Connection> {
    const connection = this.#connection;
    if (connection?.isOpen === true) {
      const isOver = performance.now() > this.#expiresAtMs && connection.isIdle;
      if (!isOver) return connection;
      connection.destroy(this.#unavailable("the login is over"));
    }
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return await this.#opening;
  }

  async #open(): Promise<Connection> {
    const closing = this.#closing.signal;
    try {
      const waitMs = this.#notBeforeMs - performance.now();
      if (waitMs > 0) await systemClock.sleep(waitMs, closing);
      this.#connection = await this.#connect();
      this.#backOff.reset();
      return this.#connection;
    } catch (error) {
      this.#notBeforeMs = performance.now() + this.#backOff.next();
      throw error instanceof QmtlError ? withSent(error, false) : error;
    }
  }

  async #connect(): Promise<Connection> {
    const { connectMsMax, login } = this.#settings;
    const stop = new AbortController();
    const tooLong = this.#unavailable(`no session within ${connectMsMax} ms`);
    const timer = setTimeout(() => stop.abort(tooLong), connectMsMax);
    const onClose = (): void => stop.abort(this.#closing.signal.reason);
    this.#closing.signal.addEventListener("abort", onClose, { once: true });
    try {
      this.#closing.signal.throwIfAborted();
      const connection = await Connection.open(this.address, this.#settings, stop.signal);
      const end = (): void => {
        const reason: unknown = stop.signal.reason;
        connection.destroy(reason instanceof QmtlError ? reason : tooLong);
      };
      stop.signal.addEventListener("abort", end, { once: true });
      try {
        // A login is renewed before it ends: the broker cuts off whoever comes late.
        this.#expiresAtMs = performance.now() + 0.8 * (await beginSession(connection, login));
        stop.signal.throwIfAborted();
        return connection;
      } catch (error) {
        connection.destroy(error instanceof QmtlError ? error : tooLong);
        throw hasCode(error, "MESSAGE_TOO_LARGE") ? this.#noKafka(error) : error;
      } finally {
        stop.signal.removeEventListener("abort", end);
      }
    } finally {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener("abort", onClose);
    }
  }

  /** The first answer was gibberish: an alert of TLS reads as a length of 350 MB. */
  #noKafka(error: QmtlError): QmtlError {
    const broker = addressText(this.address);
    return new QmtlError(
      "TRANSPORT_REJECTED",
      `Cannot talk to the broker ${broker}: its answer is no Kafka message, wanted one (does the port need tls=true?)`,
      { broker },
      error,
    );
  }

  #unavailable(found: string): QmtlError {
    const broker = addressText(this.address);
    return new QmtlError(
      "TRANSPORT_UNAVAILABLE",
      `Cannot talk to the broker ${broker}: ${found}, wanted an open session`,
      { broker },
    );
  }
}
