import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { FrameReceiver } from "../../../../connectors/kafka/wire/frame-receiver.ts";

/** A frame on the wire. */
function frameOf(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setInt32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

// Goal: F1 and F2 however the stream is cut. Method: every frame is kept, and read again after the
// next one has been handled; a copy made at once is the model.
test("frames come out whole and in order, and lie still until the second kept one after (F1, F2)", () => {
  const body = fc.uint8Array({ maxLength: 90_000, size: "max" });
  const property = fc.property(
    fc.array(fc.tuple(body, fc.boolean()), { maxLength: 8 }),
    fc.integer({ min: 1, max: 70_000 }),
    (frames, chunkBytes) => {
      const handled: Uint8Array[] = [];
      let previous: { readonly view: Uint8Array; readonly copy: Uint8Array } | undefined;
      const receiver = new FrameReceiver(1_000_000, (bytes, _view, { from, to }) => {
        if (previous !== undefined) expect(previous.view).toEqual(previous.copy);
        const view = bytes.subarray(from, to);
        const isKept = frames[handled.length]![1];
        handled.push(view.slice());
        if (isKept) previous = { view, copy: view.slice() };
        return isKept;
      });
      const stream = new Uint8Array(Buffer.concat(frames.map(([bytes]) => frameOf(bytes))));
      for (let at = 0; at < stream.length; at += chunkBytes) {
        receiver.push(stream.slice(at, at + chunkBytes));
      }
      expect(handled).toEqual(frames.map(([bytes]) => bytes));
      if (previous !== undefined) expect(previous.view).toEqual(previous.copy);
    },
  );
  fc.assert(property, { numRuns: 25 });
});

test("a frame beyond the limit is refused before it is received (F3)", () => {
  const receiver = new FrameReceiver(100, () => false);
  receiver.push(frameOf(new Uint8Array(100)));
  const length = new Uint8Array([0, 0, 0, 101]);
  expect(() => receiver.push(length)).toThrow(
    expect.objectContaining({ code: "MESSAGE_TOO_LARGE", details: { bytes: 101, bytesMax: 100 } }),
  );
});

test("a negative length is refused", () => {
  const receiver = new FrameReceiver(100, () => false);
  expect(() => receiver.push(new Uint8Array([255, 255, 255, 255]))).toThrow(
    expect.objectContaining({ code: "TRANSPORT_UNAVAILABLE" }),
  );
});
