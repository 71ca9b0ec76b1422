import Table from "cli-table3";

/** A table without lines and colours of its own: it reads well in a pipe too. */
export function plainTable(head: readonly string[]): Table.Table {
  const none = ["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid"] as const;
  const others = ["bottom-left", "bottom-right", "left", "left-mid", "mid", "mid-mid"] as const;
  const rest = ["right", "right-mid"] as const;
  const chars = Object.fromEntries([...none, ...others, ...rest].map((name) => [name, ""]));
  return new Table({
    head: [...head],
    chars: { ...chars, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
}
