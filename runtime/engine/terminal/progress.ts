import { MultiBar, type SingleBar } from "cli-progress";
import { type RunProgress } from "../backtest/report.ts";

/** Plain lines come at most this often a label, ms. */
const lineMsMin = 2_000;

/** Shows a run's progress until it is closed; closing twice is safe. */
export interface ProgressView {
  readonly show: (progress: RunProgress) => void;
  readonly close: () => void;
}

/** Bars on a terminal, plain lines elsewhere, notes only if not `isShown`. */
export function createProgress(stream: NodeJS.WriteStream, isShown: boolean): ProgressView {
  if (!isShown) return notesOnly(stream);
  return stream.isTTY ? bars(stream) : lines(stream);
}

function notesOnly(stream: NodeJS.WriteStream): ProgressView {
  return {
    show: (progress) => {
      if (progress.kind === "note") stream.write(`${progress.text}\n`);
    },
    close: () => undefined,
  };
}

function bars(stream: NodeJS.WriteStream): ProgressView {
  const multi = new MultiBar({
    stream,
    format: "{what} {label} [{bar}] {value}/{total} · {rate} · ETA {eta_formatted}",
    hideCursor: true,
    clearOnComplete: false,
    etaBuffer: 50,
    barsize: 28,
    formatValue: (value) => value.toLocaleString("en"),
  });
  const known = new Map<string, { readonly bar: SingleBar; readonly startMs: number }>();
  let isOpen = true;
  return {
    show(progress) {
      if (progress.kind === "note") {
        multi.log(`${progress.text}\n`);
        return;
      }
      const { kind, label, done, total } = progress;
      const name = `${kind} ${label}`;
      let entry = known.get(name);
      if (entry === undefined) {
        const payload = { what: kind.padEnd(8), label: label.padEnd(14), rate: "– bars/s" };
        entry = { bar: multi.create(Math.max(1, total), 0, payload), startMs: performance.now() };
        known.set(name, entry);
      }
      entry.bar.update(Math.min(done, Math.max(1, total)), {
        rate: rateText(done, performance.now() - entry.startMs),
      });
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      multi.stop();
    },
  };
}

function lines(stream: NodeJS.WriteStream): ProgressView {
  const known = new Map<string, { readonly startMs: number; lastMs: number }>();
  return {
    show(progress) {
      if (progress.kind === "note") {
        stream.write(`${progress.text}\n`);
        return;
      }
      const { kind, label, done, total } = progress;
      const now = performance.now();
      const entry = known.get(`${kind} ${label}`) ?? {
        startMs: now,
        lastMs: Number.NEGATIVE_INFINITY,
      };
      known.set(`${kind} ${label}`, entry);
      if (done < total && now - entry.lastMs < lineMsMin) return;
      entry.lastMs = now;
      const [own, all] = [done, total].map((count) => count.toLocaleString("en"));
      // The first line has no time behind it that a speed could be told from.
      const rate = entry.startMs === now ? "" : `, ${rateText(done, now - entry.startMs)}`;
      stream.write(`${kind} ${label}: ${own} of ${all} bars${rate}\n`);
    },
    close: () => undefined,
  };
}

function rateText(done: number, elapsedMs: number): string {
  if (elapsedMs < 1) return "– bars/s";
  return `${Math.round((done / elapsedMs) * 1_000).toLocaleString("en")} bars/s`;
}
