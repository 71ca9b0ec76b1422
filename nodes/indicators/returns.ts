import { QmtlError, returnsTag, type Schema, type Window } from "../../runtime/index.ts";
import { Join } from "../node.ts";
import { type Context, type FieldOf, type Upstream } from "../typing.ts";
import { barMsOf } from "./restart.ts";

/** Output of `returns`: the bar's return, the change of the position at its close, and what was held. */
export type ReturnsSchema = {
  readonly ret: "f64";
  readonly traded: "f64";
  readonly held: "f64";
};

/** Settings of `returns`. */
export interface ReturnsOptions<P extends Schema, C extends Schema> {
  /** Field of the price, default `close`. */
  readonly field?: FieldOf<C>;
  /** Field of the position, default `position`. */
  readonly positionField?: FieldOf<P>;
  /** Cost of a trade as a fraction of what is traded, 0 to 1; default 0.001 (10 basis points). */
  readonly cost?: number;
  readonly name?: string;
}

/** What `returns` hands to its compute. */
export interface ReturnsParams {
  readonly field: string;
  readonly positionField: string;
  readonly cost: number;
  /** A price or position is of the bar that closes if it opened less than this before, ms. */
  readonly priceAgeMs: number;
  readonly positionAgeMs: number;
  readonly [name: string]: number | string;
}

const costDefault = 0.001;
const weekMs = 7 * 86_400_000;

/**
 * What a position is worth: each bar's return net of costs, as a fraction (0.01 is one percent).
 *
 *   ret_t     position_{t-1} · (price_t / price_{t-1} − 1) − cost · traded_t
 *   traded_t  |position_t − position_{t-1}|
 *   held_t    position_{t-1}
 *
 *   R1  No look-ahead: what is decided at the close of t − 1 earns the move from there to the close
 *       of t, and nothing that is decided at t does. The change at t costs at t.
 *   R2  A position is a fraction of the equity: 1 is all of it, 0 none, −1 sold short. It holds until
 *       there is another one, also where it comes on some bars only or on longer bars.
 *   R3  An output knows its lookback alone, so no return has the cost of coming into what the first
 *       bar of a run holds: the report charges `cost` · |held| of that bar, for a run begins without
 *       a position.
 *   R4  NaN in a position or price gives NaN; a bar without a price gives nothing, and the next
 *       return spans the gap.
 *
 * A backtest compounds it into an equity line in its report.
 *
 * @throws QmtlError ARGUMENT_INVALID if a field is not there, the cost is out of range, or the
 *   position's bars are neither as long as the price's nor a multiple of them.
 */
export function returns<P extends Schema, C extends Schema>(
  position: Upstream<P>,
  price: Upstream<C>,
  options: ReturnsOptions<P, C> = {},
): Join<{ readonly position: P; readonly price: C }, ReturnsSchema, ReturnsParams> {
  const { field = "close", positionField = "position", cost = costDefault } = options;
  const { name = "returns" } = options;
  const priceBarMs = barMsOf(price.declaration);
  const positionBarMs = barMsOf(position.declaration);
  checkField(name, "price", price.schema, field);
  checkField(name, "position", position.schema, positionField);
  if (!(cost >= 0 && cost <= 1)) {
    throw invalid(name, `its cost is ${cost}, wanted a fraction from 0 to 1`);
  }
  // The mean month stands for all of them: it can't say on which day one has closed.
  const fits = positionBarMs <= weekMs && positionBarMs % priceBarMs === 0;
  if (!fits && positionBarMs !== priceBarMs) {
    throw invalid(
      name,
      "its position's bars don't fit the price's, wanted the same interval or a multiple of it up to 1w",
    );
  }
  return new Join({
    name,
    tags: [returnsTag],
    inputs: { position, price },
    lookback: 2,
    // Two that have no bar at once must not lose what is held meanwhile (R2).
    onMissing: "last",
    schema: { ret: "f64", traded: "f64", held: "f64" },
    params: {
      field,
      positionField,
      cost,
      // Half a bar more, for months differ in length and a bar may lie off the grid.
      priceAgeMs: 1.5 * priceBarMs,
      positionAgeMs: positionBarMs + 0.5 * priceBarMs,
    },
    compute: returnOf,
  });
}

function returnOf(
  windows: { readonly position: Window<Schema>; readonly price: Window<Schema> },
  { field, positionField, cost, priceAgeMs, positionAgeMs }: ReturnsParams,
  { time }: Context,
) {
  const { position, price } = windows;
  if (!isNewWithin(price, time, priceAgeMs)) return undefined;
  const after = position.value(positionField);
  const held = isNewWithin(position, time, positionAgeMs)
    ? position.value(positionField, -2)
    : after;
  const traded = Math.abs(after - held);
  const move = price.value(field) / price.value(field, -2) - 1;
  return { ret: held * move - cost * traded, traded, held };
}

/** True if the window's newest bar is the one that closes now. */
function isNewWithin(window: Window<Schema>, time: number, ageMs: number): boolean {
  return time - window.times.at(-1) < ageMs;
}

function checkField(name: string, input: string, schema: Schema, field: string): void {
  if (Object.hasOwn(schema, field)) return;
  const fields = Object.keys(schema).join(", ");
  throw invalid(name, `its ${input} has no field "${field}", it has ${fields}`);
}

function invalid(name: string, fault: string): QmtlError {
  return new QmtlError("ARGUMENT_INVALID", `Cannot make "${name}": ${fault}`);
}
