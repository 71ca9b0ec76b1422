import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import { QmtlError } from "../../../runtime/index.ts";

/** Iterations the server may ask for: fewer are too weak, more would block us for seconds. */
const iterations = { min: 4_096, max: 1_000_000 } as const;

/** Hash of each mechanism. */
const hashOf = { "scram-sha-256": "sha256", "scram-sha-512": "sha512" } as const;

/** A SCRAM mechanism. */
export type ScramMechanism = keyof typeof hashOf;

/**
 * The client's side of SCRAM (RFC 5802, without channel binding): `first` is sent, the server's
 * answer goes to `final`, which is sent, and the answer to that to `verify`.
 */
export class ScramClient {
  /** The first message. */
  readonly first: string;
  readonly #bare: string;
  readonly #nonce: string;
  readonly #hash: (typeof hashOf)[ScramMechanism];
  readonly #password: string;
  #serverSignature: Buffer | undefined;

  /** `nonce` only for tests; it must never repeat. */
  constructor(
    mechanism: ScramMechanism,
    user: string,
    password: string,
    nonce: string = randomBytes(24).toString("base64"),
  ) {
    this.#hash = hashOf[mechanism];
    this.#password = password;
    this.#nonce = nonce;
    const name = user.replaceAll("=", "=3D").replaceAll(",", "=2C");
    this.#bare = `n=${name},r=${nonce}`;
    this.first = `n,,${this.#bare}`;
  }

  /**
   * The second message, which proves that we know the password.
   *
   * @throws QmtlError TRANSPORT_AUTH_FAILED for a challenge that is none or too weak.
   */
  final(serverFirst: string): string {
    const fields = fieldsOf(serverFirst);
    const nonce = fields.get("r") ?? "";
    const salt = Buffer.from(fields.get("s") ?? "", "base64");
    const count = Number(fields.get("i"));
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce || salt.length === 0) {
      throw failed("its challenge is not an answer to ours");
    }
    if (!Number.isInteger(count) || count < iterations.min || count > iterations.max) {
      throw failed(`it wants ${count} iterations, wanted ${iterations.min} to ${iterations.max}`);
    }
    const bytes = createHash(this.#hash).digest().length;
    const salted = pbkdf2Sync(this.#password, salt, count, bytes, this.#hash);
    const clientKey = this.#hmac(salted, "Client Key");
    const storedKey = createHash(this.#hash).update(clientKey).digest();
    const withoutProof = `c=biws,r=${nonce}`;
    const message = `${this.#bare},${serverFirst},${withoutProof}`;
    const signature = this.#hmac(storedKey, message);
    const proof = clientKey.map((byte, i) => byte ^ (signature[i] ?? 0));
    this.#serverSignature = this.#hmac(this.#hmac(salted, "Server Key"), message);
    return `${withoutProof},p=${Buffer.from(proof).toString("base64")}`;
  }

  /**
   * Checks that the server knows the password too.
   *
   * @throws QmtlError TRANSPORT_AUTH_FAILED if it does not.
   */
  verify(serverFinal: string): void {
    const found = Buffer.from(fieldsOf(serverFinal).get("v") ?? "", "base64");
    const wanted = this.#serverSignature;
    if (wanted?.length === found.length && timingSafeEqual(wanted, found)) return;
    throw failed("it cannot prove that it knows the password");
  }

  #hmac(key: Buffer, text: string): Buffer {
    return createHmac(this.#hash, key).update(text).digest();
  }
}

function fieldsOf(message: string): ReadonlyMap<string, string> {
  return new Map(message.split(",").map((field) => [field.slice(0, 1), field.slice(2)] as const));
}

function failed(found: string): QmtlError {
  return new QmtlError("TRANSPORT_AUTH_FAILED", `Cannot log in to the broker: ${found}`);
}
