import { afterEach, expect, test } from "bun:test";
import { type LiveServer, serveLive } from "../../../../../runtime/engine/live/view/http.ts";
import { failureOf } from "../../../../contract/failure-of.ts";

const servers: LiveServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

/** A server whose answers a test sets. */
function served() {
  const state = { status: "ok", causes: [] as string[] };
  const server = serveLive(0, {
    metrics: async () => ({ text: "up 1\n", type: "text/plain; version=0.0.4; charset=utf-8" }),
    health: () => ({ status: state.status }),
    unready: () => state.causes,
  });
  servers.push(server);
  const ask = async (path: string, init?: RequestInit) => await fetch(`${server.url}${path}`, init);
  return { server, state, ask };
}

test("/metrics answers with the exposition format's media type, not to be cached", async () => {
  const { ask } = served();
  const answer = await ask("/metrics");
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(await answer.text()).toBe("up 1\n");
});

test("/healthz is 200 while it is ok and 503 with what it says when it is not", async () => {
  const { ask, state } = served();
  expect((await ask("/healthz")).status).toBe(200);
  state.status = "failing";
  const answer = await ask("/healthz");
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({ status: "failing" });
});

test("/readyz is 503 with the causes until there are none", async () => {
  const { ask, state } = served();
  state.causes.push("thread 0 has not fetched yet");
  const answer = await ask("/readyz");
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({
    status: "starting",
    causes: ["thread 0 has not fetched yet"],
  });
  state.causes.length = 0;
  expect((await ask("/readyz?verbose")).status).toBe(200);
});

test.each(["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])(
  "%s is not allowed on a page, and Allow says what is",
  async (method) => {
    const { ask } = served();
    for (const path of ["/metrics", "/healthz", "/readyz"]) {
      const answer = await ask(path, { method });
      expect(answer.status).toBe(405);
      expect(answer.headers.get("allow")).toBe("GET");
    }
  },
);

test("any other path is not found, whatever the method", async () => {
  const { ask } = served();
  for (const path of ["/", "/metrics/", "/healthz/x", "/Metrics", "/%2e%2e/metrics2"]) {
    expect((await ask(path)).status).toBe(404);
    expect((await ask(path, { method: "POST" })).status).toBe(404);
  }
});

test("it listens on the loopback address alone", () => {
  const { server } = served();
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
});

test("a port that is taken is refused by name, and nothing is left open", async () => {
  const { server } = served();
  const port = Number(new URL(server.url).port);
  const start = async () =>
    serveLive(port, {
      metrics: async () => ({ text: "", type: "" }),
      health: () => ({ status: "ok" }),
      unready: () => [],
    });
  expect(await failureOf(start())).toMatchObject({
    code: "SERVER_START_FAILED",
    details: { port },
  });
});

test("close() ends the endpoint, twice does no harm, and the port is free again", async () => {
  const { server, ask } = served();
  expect((await ask("/metrics")).status).toBe(200);
  await server.close();
  await server.close();
  expect(await ask("/metrics").catch(() => "refused")).toBe("refused");
  const port = Number(new URL(server.url).port);
  const again = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("again") });
  await again.stop(true);
});
