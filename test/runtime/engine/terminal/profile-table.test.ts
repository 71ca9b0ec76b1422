import { expect, test } from "bun:test";
import { stripVTControlCharacters } from "node:util";
import { renderProfile } from "../../../../runtime/engine/terminal/profile-table.ts";

const node = (name: string, calls: number, seconds: number) => ({
  name,
  definitionId: "0",
  calls,
  nsPerCall: (seconds / calls) * 1e9,
  seconds,
});

test("the table says each phase's share, then the nodes, the dearest first", () => {
  const text = stripVTControlCharacters(
    renderProfile({
      nodes: [node("light", 1_000_000, 0.02), node("heavy", 1_000_000, 0.48)],
      phases: [
        { name: "decode", seconds: 0.25 },
        { name: "compute", seconds: 0.5 },
        { name: "encode", seconds: 0.05 },
        { name: "network", seconds: 0.2 },
      ],
    }),
  );
  expect(text).toMatch(/decode +│ +0\.250 │ +25\.0 %/);
  expect(text).toMatch(/network +│ +0\.200 │ +20\.0 %/);
  expect(text).toMatch(/heavy +│ +1,000,000 │ +480 │ +0\.480 │ +48\.0 %/);
  expect(text).toMatch(/light +│ +1,000,000 │ +20 │ +0\.020 │ +2\.0 %/);
  expect(text.indexOf("heavy")).toBeLessThan(text.indexOf("light"));
});

test("a run that took no time has no shares, a graph without nodes no second table", () => {
  const text = stripVTControlCharacters(
    renderProfile({ nodes: [], phases: [{ name: "decode", seconds: 0 }] }),
  );
  expect(text).toMatch(/decode +│ +0\.000 │ +–/);
  expect(text).not.toContain("ns/call");
});
