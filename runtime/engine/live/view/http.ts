import { errorText, QmtlError } from "../../../core/errors.ts";

/** What a live run answers. */
export interface LiveRoutes {
  /** Text in the exposition format, and its media type. */
  metrics(): Promise<{ readonly text: string; readonly type: string }>;
  health(): { readonly status: string };
  /** What is missing until the run is ready; empty: it is. */
  unready(): readonly string[];
}

/** An endpoint that listens. */
export interface LiveServer {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Ends open connections too; safe to call twice. */
  close(): Promise<void>;
}

/**
 * Serves `/metrics`, `/healthz` and `/readyz` on the loopback address, to GET alone. Who wants them
 * from another machine puts a proxy before it: there is no secret in them, but no lock either.
 *
 * @throws QmtlError SERVER_START_FAILED if the port is taken.
 */
export function serveLive(port: number, routes: LiveRoutes): LiveServer {
  const server = listen(port, async (request) => await answer(request, routes));
  return {
    url: `http://127.0.0.1:${server.port}`,
    close: async () => await server.stop(true),
  };
}

function listen(
  port: number,
  fetch: (request: Request) => Promise<Response>,
): ReturnType<typeof Bun.serve> {
  try {
    return Bun.serve({ hostname: "127.0.0.1", port, fetch });
  } catch (error) {
    throw new QmtlError(
      "SERVER_START_FAILED",
      `Cannot serve metrics on 127.0.0.1:${port}: ${errorText(error)}, wanted a free port (0 takes any)`,
      { port },
      error,
    );
  }
}

async function answer(request: Request, routes: LiveRoutes): Promise<Response> {
  const { pathname } = new URL(request.url);
  const route = routeOf(pathname, routes);
  if (route === undefined) return text(404, "Not found: wanted /metrics, /healthz or /readyz\n");
  if (request.method !== "GET") {
    return text(405, "Method not allowed: wanted GET\n", { allow: "GET" });
  }
  return await route();
}

function routeOf(path: string, routes: LiveRoutes): (() => Promise<Response>) | undefined {
  switch (path) {
    case "/metrics":
      return async () => {
        const { text: body, type } = await routes.metrics();
        return text(200, body, { "content-type": type });
      };
    case "/healthz":
      return async () => {
        const health = routes.health();
        return json(health.status === "ok" ? 200 : 503, health);
      };
    case "/readyz":
      return async () => {
        const causes = routes.unready();
        const isReady = causes.length === 0;
        return json(isReady ? 200 : 503, { status: isReady ? "ready" : "starting", causes });
      };
    default:
      return undefined;
  }
}

const noStore = { "cache-control": "no-store" };

function text(status: number, body: string, headers: Record<string, string> = {}): Response {
  const type = { "content-type": "text/plain; charset=utf-8" };
  return new Response(body, { status, headers: { ...noStore, ...type, ...headers } });
}

function json(status: number, body: object): Response {
  return Response.json(body, { status, headers: noStore });
}
