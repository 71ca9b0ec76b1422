import { type Call } from "../wire/connection.ts";

/** Whether the broker knows the mechanism, and which it knows. */
export interface SaslHandshake {
  readonly errorCode: number;
  readonly mechanisms: readonly string[];
}

/**
 * SaslHandshake v1: names the mechanism.
 *
 *   request   mechanism
 *   answer    error i16 · mechanisms [ name ]
 */
export function saslHandshakeCall(mechanism: string): Call<SaslHandshake> {
  return {
    api: { name: "SaslHandshake", key: 17, version: 1 },
    encode: (writer) => writer.string(mechanism),
    decode(reader) {
      const errorCode = reader.int16();
      const mechanisms = Array.from({ length: reader.count(2) }, () => reader.string());
      return { errorCode, mechanisms };
    },
  };
}

/** One step of the login. */
export interface SaslStep {
  readonly errorCode: number;
  readonly message: string;
  /** What the server says in this step. */
  readonly bytes: Uint8Array;
  /** The login holds this long, in ms; 0: as long as the connection. */
  readonly lifetimeMs: number;
}

/**
 * SaslAuthenticate v1: one step of the mechanism.
 *
 *   request   bytes
 *   answer    error i16 · message · bytes · lifetime i64
 */
export function saslAuthenticateCall(bytes: Uint8Array): Call<SaslStep> {
  return {
    api: { name: "SaslAuthenticate", key: 36, version: 1 },
    encode: (writer) => writer.bytes(bytes),
    decode(reader) {
      const errorCode = reader.int16();
      const message = reader.string();
      return {
        errorCode,
        message,
        bytes: reader.bytes().slice(),
        lifetimeMs: reader.int64(),
      };
    },
  };
}
