import { expect, test } from "bun:test";
import { z } from "zod";
import { checkSettings } from "../../../runtime/core/check-settings.ts";

const schema = z.strictObject({
  threads: z.coerce.number().int().min(1).max(256).default(2),
  share: z.number().gt(0).lt(1).optional(),
  mode: z.enum(["fast", "safe"]).optional(),
  isTls: z.boolean().optional(),
  password: z.string().min(4).optional(),
  names: z.array(z.string()).max(1).optional(),
  path: z.string().min(1, "wanted the path of a file").optional(),
  server: z.strictObject({ port: z.int() }).optional(),
});

test("what keeps to the schema comes back as the schema reads it", () => {
  const { settings, faults } = checkSettings(schema, { threads: "4" });
  expect([settings, faults]).toEqual([{ threads: 4 }, []]);
});

test("every fault is said at once: where it is, what was found, what was wanted", () => {
  for (const [given, ...said] of [
    [{ threads: 0 }, "threads: found 0, wanted >= 1"],
    [{ threads: "300" }, "threads: found 300, wanted <= 256"],
    [{ threads: 1.5 }, "threads: found 1.5, wanted an integer"],
    [{ threads: "many" }, "threads: wanted a number"],
    [{ share: 1 }, "share: found 1, wanted < 1"],
    [{ share: 0 }, "share: found 0, wanted > 0"],
    [{ mode: "slow" }, "mode: wanted fast, safe"],
    [
      { isTls: 1, names: ["a", "b"] },
      "isTls: found 1, wanted a boolean",
      "names: wanted <= 1 entries",
    ],
    [{ path: "" }, "path: wanted the path of a file"],
    [{ server: {} }, "server.port: found none, wanted a number"],
    [{ colour: 1 }, 'Unrecognized key: "colour"'],
    ["text", "wanted an object"],
  ] as const) {
    expect(checkSettings(schema, given)).toEqual({ settings: undefined, faults: said });
  }
});

test("a text is never repeated, for it may be a password", () => {
  const { faults } = checkSettings(schema, { password: "abc" });
  expect(faults).toEqual(["password: wanted >= 4 characters"]);
});
