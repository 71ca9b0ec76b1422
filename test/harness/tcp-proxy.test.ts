import { afterEach, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { TcpProxy } from "./tcp-proxy.ts";

interface Echo {
  readonly server: Server;
  readonly port: number;
  received: string;
}

let opened: (() => void)[] = [];

afterEach(() => {
  for (const close of opened) close();
  opened = [];
});

/** A server that answers what it gets, and remembers it: the request that took effect. */
async function startEcho(): Promise<Echo> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => {
      echo.received += bytes.toString();
      socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const echo: Echo = { server, port: (server.address() as { port: number }).port, received: "" };
  opened.push(() => server.close());
  return echo;
}

interface Client {
  readonly socket: Socket;
  /** `reset`, `end` or undefined while it is open. */
  ending: "reset" | "end" | undefined;
  text: string;
  readonly over: Promise<void>;
}

async function open(port: number): Promise<Client> {
  const socket = connect({ port, host: "127.0.0.1" });
  const over = Promise.withResolvers<void>();
  const client: Client = { socket, ending: undefined, text: "", over: over.promise };
  socket.on("data", (bytes: Buffer) => {
    client.text += bytes.toString();
  });
  socket.on("error", () => {
    client.ending = "reset";
  });
  socket.on("close", () => {
    client.ending ??= "end";
    over.resolve();
  });
  await new Promise<void>((resolve) => {
    socket.once("connect", resolve);
    socket.once("close", () => resolve());
  });
  opened.push(() => socket.destroy());
  return client;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("The condition did not come true in 5 s");
    await Bun.sleep(1);
  }
}

test("without faults both directions pass and are counted", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  const client = await open(proxy.port);
  client.socket.write("hello");
  await until(() => client.text === "hello");
  expect(proxy.counts).toEqual({
    connections: 1,
    requestBytes: 5,
    replyBytes: 5,
    lostReplyBytes: 0,
  });
});

test("replies: drop lets the request take effect and loses the reply", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  proxy.set({ replies: "drop" });
  const client = await open(proxy.port);
  client.socket.write("lost");
  await proxy.until((counts) => counts.lostReplyBytes === 4);
  expect(echo.received).toBe("lost");
  expect(client.text).toBe("");
  expect(client.ending).toBeUndefined();
  proxy.heal();
  client.socket.write("back");
  await until(() => client.text === "back");
});

test("replies: cut loses the reply and resets the connection", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  proxy.set({ replies: "cut" });
  const client = await open(proxy.port);
  client.socket.write("lost");
  await client.over;
  expect(echo.received).toBe("lost");
  expect(client.text).toBe("");
});

test("requests: hold is a black hole with the connection open", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  proxy.set({ requests: "hold" });
  const client = await open(proxy.port);
  client.socket.write("gone");
  await proxy.until((counts) => counts.requestBytes === 4);
  expect(echo.received).toBe("");
  expect(client.ending).toBeUndefined();
});

test("delayMs holds data back in both directions and keeps its order", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  proxy.set({ delayMs: 40 });
  const client = await open(proxy.port);
  const beforeMs = performance.now();
  client.socket.write("one ");
  await proxy.until((counts) => counts.requestBytes === 4);
  client.socket.write("two");
  await until(() => client.text === "one two");
  expect(performance.now() - beforeMs).toBeGreaterThanOrEqual(75);
});

test("replyBytesMax truncates the reply and ends the connection", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  proxy.set({ replyBytesMax: 6 });
  const client = await open(proxy.port);
  client.socket.write("0123456789");
  await client.over;
  expect(client.text).toBe("012345");
  expect(echo.received).toBe("0123456789");
});

test("reset() resets what is open; connections: refuse resets what is new", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  const client = await open(proxy.port);
  client.socket.write("x");
  await until(() => client.text === "x");
  proxy.reset();
  await client.over;
  expect(client.ending).toBe("reset");
  proxy.set({ connections: "refuse" });
  const refused = await open(proxy.port);
  await refused.over;
  expect(refused.ending).toBe("reset");
});

test("halfOpen() leaves the client connected to nobody", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  const client = await open(proxy.port);
  client.socket.write("x");
  await until(() => client.text === "x");
  proxy.halfOpen();
  client.socket.write("anyone?");
  await proxy.until((counts) => counts.requestBytes === 8);
  expect(echo.received).toBe("x");
  expect(client.ending).toBeUndefined();
});

test("connections: silence accepts and connects nowhere", async () => {
  const echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  proxy.set({ connections: "silence" });
  const client = await open(proxy.port);
  client.socket.write("x");
  await proxy.until((counts) => counts.connections === 1);
  expect(client.ending).toBeUndefined();
  expect(echo.received).toBe("");
});

test("close() is safe to call twice", async () => {
  const echo = await startEcho();
  const proxy = await TcpProxy.start(echo.port);
  await proxy.close();
  await proxy.close();
});
