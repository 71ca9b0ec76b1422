import pico from "picocolors";
import { type Profile } from "../profile.ts";
import { newTable, right } from "./table.ts";

/** A profile as a person likes to read it: shares of the run's time, then node by node. */
export function renderProfile({ nodes, phases }: Profile): string {
  const all = phases.reduce((sum, { seconds }) => sum + seconds, 0);
  const shares = newTable(["time in", "seconds", "share"]);
  for (const { name, seconds } of phases) {
    shares.push([name, right(seconds.toFixed(3)), right(percent(seconds, all))]);
  }
  const byNode = newTable(["node", "calls", "ns/call", "seconds", "share"]);
  for (const node of nodes.toSorted((a, b) => b.seconds - a.seconds)) {
    byNode.push([
      node.name,
      right(node.calls.toLocaleString("en")),
      right(node.nsPerCall.toFixed(0)),
      right(node.seconds.toFixed(3)),
      right(percent(node.seconds, all)),
    ]);
  }
  const note = pico.dim("Nodes are timed at one record in 61; decode is the rest of the run.");
  const sections = [pico.bold("profile"), shares.toString()];
  if (nodes.length > 0) sections.push(byNode.toString());
  return `\n${[...sections, note].join("\n")}\n`;
}

function percent(part: number, all: number): string {
  return all > 0 ? `${((100 * part) / all).toFixed(1)} %` : "–";
}
