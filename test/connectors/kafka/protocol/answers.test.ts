import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { apiVersionsCall } from "../../../../connectors/kafka/protocol/api-versions.ts";
import { fetchCall } from "../../../../connectors/kafka/protocol/fetch.ts";
import { initProducerIdCall } from "../../../../connectors/kafka/protocol/init-producer-id.ts";
import { listOffsetsCall } from "../../../../connectors/kafka/protocol/list-offsets.ts";
import { metadataCall } from "../../../../connectors/kafka/protocol/metadata.ts";
import { produceCall } from "../../../../connectors/kafka/protocol/produce.ts";
import {
  saslAuthenticateCall,
  saslHandshakeCall,
} from "../../../../connectors/kafka/protocol/sasl.ts";
import { type Call } from "../../../../connectors/kafka/wire/connection.ts";
import { ResponseReader } from "../../../../connectors/kafka/wire/response-reader.ts";
import { hasCode } from "../../../../runtime/index.ts";

const query = { isCommittedOnly: true, waitMsMax: 1, bytesMax: 1, partitionBytesMax: 1 };
const calls: readonly Call<unknown>[] = [
  apiVersionsCall,
  metadataCall(["t"]),
  fetchCall({ ...query, positions: [{ topic: "t", partition: 0, offset: 0 }] }),
  listOffsetsCall("t", []),
  produceCall([], 1_000),
  initProducerIdCall,
  saslHandshakeCall("PLAIN"),
  saslAuthenticateCall(new Uint8Array(0)),
];

/** Decodes `body` in the middle of a larger buffer. */
function decode(call: Call<unknown>, body: Uint8Array): unknown {
  const bytes = new Uint8Array(body.length + 64).fill(0x7f);
  bytes.set(body, 32);
  const reader = new ResponseReader();
  reader.open(bytes, new DataView(bytes.buffer), { from: 32, to: 32 + body.length });
  return call.decode(reader);
}

// Goal: R1 and R2. Method: any bytes; small numbers are likely, so that counts and lengths fit.
test("any bytes are decoded or refused by name, never read beyond their end (R1, R2)", () => {
  const byte = fc.oneof(fc.constant(0), fc.nat(3), fc.nat(255));
  const property = fc.property(
    fc.nat(calls.length - 1),
    fc.array(byte, { maxLength: 200 }),
    (index, body) => {
      try {
        decode(calls[index]!, new Uint8Array(body));
      } catch (error) {
        expect(hasCode(error, "TRANSPORT_UNAVAILABLE")).toBe(true);
      }
    },
  );
  fc.assert(property, { numRuns: 5_000 });
});

test("a count that cannot fit is refused before anything is made for it (R2)", () => {
  const huge = new Uint8Array([0, 0, 0x7f, 0xff, 0xff, 0xff]);
  expect(() => decode(apiVersionsCall, huge)).toThrow("2147483647 elements");
});
