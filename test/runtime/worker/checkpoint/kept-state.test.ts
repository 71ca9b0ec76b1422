import { expect, test } from "bun:test";
import { MessageChannel } from "node:worker_threads";
import { KeptState } from "../../../../runtime/worker/checkpoint/kept-state.ts";
import { failureOf } from "../../../contract/failure-of.ts";

// What the other end answers is tested where it is: coordinator/state-keeper.test.ts.
test("a wait ends with its signal, or with the end's close", async () => {
  const { port1, port2 } = new MessageChannel();
  const end = new KeptState(port2);
  const stop = new AbortController();
  const stopped = failureOf(end.acquire("t", stop.signal));
  const closed = failureOf(end.acquire("t", new AbortController().signal));
  stop.abort(new Error("enough"));
  expect(await stopped).toEqual(new Error("enough"));
  end.close();
  expect(await closed).toMatchObject({ code: "STORE_CLOSED" });
  port1.close();
});
