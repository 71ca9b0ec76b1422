import { Runner } from "qmtl";

type StrategyClass = Parameters<typeof Runner.live>[0];

/**
 * Runs a strategy as the comparison of stream processors wants it: broker from the command line,
 * the rest from TOPIC N OUT MODE SKIP STATE THREADS; prints one RESULT line.
 */
export async function runPeer(strategy: StrategyClass, module: string): Promise<void> {
  const { N = "2000000", MODE = "rate", SKIP = "0", STATE, THREADS = "1" } = process.env;
  const report = await Runner.live(strategy, {
    transport: `kafka://${process.argv[2] ?? "127.0.0.1:9092"}`,
    ...(STATE === undefined ? {} : { state: STATE }),
    ...(MODE === "latency"
      ? { latency: { field: "closeTime", unit: "us" as const, skip: Number(SKIP) } }
      : {}),
    deployment: `kline-window-${process.pid}`,
    threads: Number(THREADS),
    until: { records: Number(N) },
    module,
  });
  const shared = `msgs=${report.records} signals=${report.outputs}`;
  const figures =
    MODE === "latency"
      ? `p50_ms=${report.p50.toFixed(3)} p99_ms=${report.p99.toFixed(3)}`
      : `secs=${report.seconds.toFixed(4)} secs_first=${report.secondsFromFirst.toFixed(4)}`;
  console.log(`RESULT ${shared} ${figures}`);
}
