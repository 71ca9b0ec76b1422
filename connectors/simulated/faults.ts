import { QmtlError } from "../../runtime/index.ts";

/** Faults of one answer. */
const answerKinds = [
  /** Rate limit broken; Retry-After, and all requests are refused until then. */
  "429",
  /** Banned; as above, 120 s by default. */
  "418",
  /** Internal error, JSON. */
  "500",
  /** Broken gateway, HTML. */
  "502",
  /** Security block, HTML. */
  "403",
  /** Restricted location. */
  "451",
  /** No answer at all. */
  "stall",
  /** Headers and half of the body, then silence. */
  "stall-body",
  /** Headers and half of the body, then the connection is cut. */
  "cut",
  /** 200 with a page of HTML. */
  "html",
  /** 200 with a row that lacks its close price. */
  "malformed",
  /** Times in µs without having been asked for. */
  "us",
] as const;

/** Faults of the market itself, the same in each answer. */
const marketKinds = [
  /** Each n-th bar of the grid does not exist. */
  "gaps",
  /** Recorded data get a last bar that is still open; generated data always have one. */
  "open",
] as const;

/** All faults by name. */
export const faultKinds = [...answerKinds, ...marketKinds] as const;

/** A fault of one answer. */
export type AnswerFaultKind = (typeof answerKinds)[number];
/** Any fault. */
export type FaultKind = (typeof faultKinds)[number];

/** When and how a fault shows. */
export interface FaultRule {
  readonly kind: FaultKind;
  /** On each n-th request that matches `path`, 1 by default; for `gaps`, each n-th bar. */
  readonly every: number;
  /** How often, at most. */
  readonly times: number;
  /** Retry-After of 429 and 418, in seconds. */
  readonly retryAfterSeconds: number | undefined;
  /** Last part of the path, `klines`; any by default. */
  readonly path: string | undefined;
}

/** The fault of one answer. */
export interface ActiveFault {
  readonly kind: AnswerFaultKind;
  readonly retryAfterSeconds: number | undefined;
}

/**
 * Reads faults as the command line writes them: `kind`, or `kind:name=value,…` with `every`,
 * `times`, `retryAfter` (s) and `path`; `429:every=10,retryAfter=2`, `stall:times=1`,
 * `gaps:every=97`, `open`, `500:every=3,path=klines`.
 *
 * @throws QmtlError CONFIG_INVALID naming the text.
 */
export function parseFaults(texts: readonly string[]): readonly FaultRule[] {
  return texts.map(parseFault);
}

function parseFault(text: string): FaultRule {
  const [name = "", settings] = text.split(":", 2);
  const kind = faultKinds.find((known) => known === name);
  if (kind === undefined) {
    throw invalid(text, `kind "${name}"`, faultKinds.join(" "));
  }
  const given = new Map<string, string>();
  for (const pair of settings === undefined ? [] : settings.split(",")) {
    const [key = "", value = ""] = pair.split("=", 2);
    if (!["every", "times", "retryAfter", "path"].includes(key)) {
      throw invalid(text, `setting "${key}"`, "every, times, retryAfter or path");
    }
    given.set(key, value);
  }
  const integerOf = (key: string): number | undefined => {
    const value = given.get(key);
    if (value === undefined) return undefined;
    if (!/^[1-9]\d{0,8}$/.test(value)) throw invalid(text, `${key}=${value}`, "an integer >= 1");
    return Number(value);
  };
  const every = integerOf("every") ?? 1;
  if (kind === "gaps" && every < 2) throw invalid(text, "no bars at all", "every=2 or more");
  return {
    kind,
    every,
    times: integerOf("times") ?? Number.POSITIVE_INFINITY,
    retryAfterSeconds: integerOf("retryAfter"),
    path: given.get("path"),
  };
}

/** Which fault the next answer has: what `next` ordered first, then the rules in their order. */
export class FaultSchedule {
  readonly #rules: { readonly rule: FaultRule; seen: number; shown: number }[];
  readonly #ordered: ActiveFault[] = [];
  readonly #shown = new Map<FaultKind, number>();

  constructor(rules: readonly FaultRule[]) {
    this.#rules = rules.map((rule) => ({ rule, seen: 0, shown: 0 }));
  }

  /** The next `times` answers have the fault `kind`. */
  next(
    kind: AnswerFaultKind,
    options: { readonly times?: number; readonly retryAfterSeconds?: number } = {},
  ): void {
    const { times = 1, retryAfterSeconds } = options;
    for (let i = 0; i < times; i += 1) this.#ordered.push({ kind, retryAfterSeconds });
  }

  /** No more faults, of the rules neither. */
  clear(): void {
    this.#ordered.length = 0;
    this.#rules.length = 0;
  }

  /** How many answers had the fault `kind`. */
  countOf(kind: FaultKind): number {
    return this.#shown.get(kind) ?? 0;
  }

  /** Each n-th bar is missing; 0 for none. */
  get gapsEvery(): number {
    return this.#rules.find(({ rule }) => rule.kind === "gaps")?.rule.every ?? 0;
  }

  /** True if recorded data show an open bar. */
  get showsOpen(): boolean {
    return this.#rules.some(({ rule }) => rule.kind === "open");
  }

  /** The fault of the answer to one request. */
  take(path: string): ActiveFault | undefined {
    const fault = this.#ordered.shift() ?? this.#ofRules(path);
    if (fault !== undefined) this.#shown.set(fault.kind, this.countOf(fault.kind) + 1);
    return fault;
  }

  /** All rules count each request; the first that is due shows. */
  #ofRules(path: string): ActiveFault | undefined {
    let due: ActiveFault | undefined;
    for (const entry of this.#rules) {
      const { rule } = entry;
      if (rule.kind === "gaps" || rule.kind === "open") continue;
      if (rule.path !== undefined && !path.endsWith(`/${rule.path}`)) continue;
      entry.seen += 1;
      const isDue = entry.seen % rule.every === 0 && entry.shown < rule.times;
      if (!isDue || due !== undefined) continue;
      entry.shown += 1;
      due = { kind: rule.kind, retryAfterSeconds: rule.retryAfterSeconds };
    }
    return due;
  }
}

function invalid(text: string, found: string, wanted: string): QmtlError {
  return new QmtlError(
    "CONFIG_INVALID",
    `Cannot use the fault "${text}": found ${found}, wanted ${wanted}`,
  );
}
