import { expect, test } from "bun:test";
import { createServer } from "node:net";
import {
  freePort,
  isPortFree,
  portOr,
} from "../../../../../runtime/cli/servers/process/free-port.ts";

test("freePort() never gives a port twice, and none the system takes outgoing ports from", async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, async () => await freePort()));
  expect(new Set(ports).size).toBe(50);
  for (const port of ports) {
    expect(port).toBeGreaterThanOrEqual(10_240);
    expect(port).toBeLessThan(32_768);
  }
});

test("portOr() keeps a free port and replaces a taken one", async () => {
  const port = await freePort();
  expect(await portOr(port)).toBe(port);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  expect(await isPortFree(port)).toBe(false);
  expect(await portOr(port)).not.toBe(port);
  server.close();
});
