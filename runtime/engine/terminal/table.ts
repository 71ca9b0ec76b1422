import Table from "cli-table3";
import pico from "picocolors";

/** A table with bold heads and no lines between rows. */
export function newTable(head: readonly string[]): InstanceType<typeof Table> {
  return new Table({
    head: head.map((text) => pico.bold(text)),
    style: { head: [], border: [], compact: true },
  });
}

/** A cell whose text stands on the right. */
export function right(content: string): { readonly content: string; readonly hAlign: "right" } {
  return { content, hAlign: "right" };
}

/** A time in UTC as people read it, `2025-01-01 09:30`; its seconds where it has any. */
export function timeText(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace("T", " ")
    .replace(/(:00)?\.000Z$/, "");
}
