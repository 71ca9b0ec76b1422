import { type Schema } from "../contract/schema.ts";
import { runGenerated } from "../core/generated.ts";
import { StoreWindow, type WindowPlace } from "./window.ts";

type WindowClass = new (place: WindowPlace) => StoreWindow;

/** One class per schema, as many as a process has schemas. */
const known = new Map<string, WindowClass>();

/** A window of the newest `lookback` rows of a slot of the place's store. */
export function openWindow<S extends Schema = Schema>(place: WindowPlace): StoreWindow<S> {
  const key = JSON.stringify(place.fields);
  let made = known.get(key);
  if (made === undefined) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the text returns
    made = runGenerated(textOf(place.fields), { StoreWindow }) as WindowClass;
    known.set(key, made);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its fields are those of S
  return new made(place) as unknown as StoreWindow<S>;
}

/**
 * A view is a member of its own and found by a switch over the names: where the name is a constant,
 * which it is in nearly every compute, an engine knows the view before it runs. A lookup in a map or
 * an array costs some 10 ns a call, and more with each node that reads another field (measured).
 */
function textOf(fields: readonly string[]): string {
  const views = fields.map((_, i) => `this.view${i + 1} = this.viewOf(${i + 1}, this.lookback);`);
  const cases = (give: (column: number) => string): string =>
    fields.map((field, i) => `case ${JSON.stringify(field)}: ${give(i + 1)}; break;`).join("\n");
  return `"use strict"; return class Window extends StoreWindow {
constructor(place) { super(place); ${views.join(" ")} }
column(field, n = this.length) {
let view;
switch (field) {
${cases((column) => `view = this.view${column}`)}
default: throw this.unknown(field);
}
return this.pointed(view, n);
}
value(field, index = -1) {
let column;
switch (field) {
${cases((column) => `column = ${column}`)}
default: throw this.unknown(field);
}
return this.values[this.rowOf(index) + column * this.stride];
}
};`;
}
