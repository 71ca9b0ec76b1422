import { type Call } from "../wire/connection.ts";

/** Versions of one kind of request that a broker speaks. */
export interface ApiRange {
  readonly key: number;
  readonly min: number;
  readonly max: number;
}

/** What a broker speaks, or the code of its refusal. */
export interface ApiVersions {
  readonly errorCode: number;
  readonly ranges: readonly ApiRange[];
}

/**
 * ApiVersions v0: what the broker speaks. Allowed before login.
 *
 *   request   (nothing)
 *   answer    error i16 · apis [ key i16 · min i16 · max i16 ]
 */
export const apiVersionsCall: Call<ApiVersions> = {
  api: { name: "ApiVersions", key: 18, version: 0 },
  encode: () => undefined,
  decode(reader) {
    const errorCode = reader.int16();
    const ranges = Array.from({ length: reader.count(6) }, () => ({
      key: reader.int16(),
      min: reader.int16(),
      max: reader.int16(),
    }));
    return { errorCode, ranges };
  },
};
