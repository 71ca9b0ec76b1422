import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { QmtlError } from "../../../core/errors.ts";

/** Lowest port we hand out. */
const portMin = 10_240;
/** Ports looked at before we give up. */
const triesMax = 200;
/** Ports given out by this process: a server may be down for a restart and still own its port. */
const given = new Set<number>();

/**
 * A loopback port nobody listens on, below the range the system takes outgoing ports from.
 *
 * `listen(0)` would give a port of that range. There a client that knocks on a killed server can
 * be connected to itself by the kernel, and then the server's restart finds its port in use.
 *
 * @throws QmtlError SERVER_START_FAILED if no free port is found in 200 tries.
 */
export async function freePort(): Promise<number> {
  const portMax = firstOutgoingPort() - 1;
  for (let i = 0; i < triesMax; i += 1) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin + 1));
    if (given.has(port) || !(await isPortFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new QmtlError(
    "SERVER_START_FAILED",
    `Cannot find a free port: ${triesMax} ports of ${portMin} to ${portMax} are taken, wanted one`,
  );
}

/** `port` if nobody listens on it, else a free one. */
export async function portOr(port: number): Promise<number> {
  if (!(await isPortFree(port))) return await freePort();
  given.add(port);
  return port;
}

/** True if a server can listen on 127.0.0.1:`port` now. */
export async function isPortFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}

/** Lowest port the kernel gives to outgoing connections; 32,768 where it does not say. */
function firstOutgoingPort(): number {
  try {
    const text = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8");
    const first = Number(text.trim().split(/\s+/)[0]);
    return first > portMin + 1_000 ? first : 32_768;
  } catch {
    return 32_768;
  }
}
