import { expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  parseQuestdbUrl,
  questdbConfig,
  withoutPassword,
} from "../../../connectors/questdb/config.ts";
import { failureOf } from "../../contract/failure-of.ts";

const faultOf = async (url: string): Promise<string> =>
  String(await failureOf((async () => parseQuestdbUrl(url))()));

test("a URL gives host and port, and defaults for all else", () => {
  expect(parseQuestdbUrl("questdb://db.example:29000")).toEqual({
    ...questdbConfig.parse({ host: "db.example", port: 29_000 }),
    tls: undefined,
  });
  expect(parseQuestdbUrl("questdb://db.example/")).toMatchObject({ port: 9_000, prefix: "qmtl" });
});

test("user and password are percent-decoded; settings come as key=value", () => {
  expect(parseQuestdbUrl("questdb://a%40b:c%2Fd%3A@h:1?prefix=mine&batchRowsMax=7")).toMatchObject({
    user: "a@b",
    password: "c/d:",
    host: "h",
    port: 1,
    prefix: "mine",
    batchRowsMax: 7,
  });
});

test("all unknown keys and bad values are named at once, and never the password", async () => {
  const text = await faultOf("questdb://me:secret@h:1?prefix=A'B&batchRowsMax=0&speed=9");
  for (const part of ["prefix", "batchRowsMax", "speed"]) expect(text).toContain(part);
  expect(text).not.toContain("secret");
});

test("what is no URL of a server is refused with the form that is wanted", async () => {
  for (const url of ["questdb:", "questdb://", "questdb://h/path", "http://h", "questdb://h#x"]) {
    expect(await faultOf(url)).toContain("wanted questdb[s]://[USER:PASSWORD@]HOST[:HTTPPORT]");
  }
});

test("questdbs:// is TLS, trusting the system or the file that tlsCa names", async () => {
  expect(parseQuestdbUrl("questdbs://h").tls).toEqual({ ca: undefined });
  const pem = join(mkdtempSync(join(tmpdir(), "qmtl-ca-")), "ca.pem");
  writeFileSync(pem, "a certificate");
  expect(parseQuestdbUrl(`questdbs://h?tlsCa=${pem}`).tls).toEqual({ ca: "a certificate" });
  expect(await faultOf(`questdb://h?tlsCa=${pem}`)).toContain("tlsCa: it needs questdbs://");
  expect(await faultOf("questdbs://:secret@h?tlsCa=/nowhere.pem")).toMatch(/tlsCa: ENOENT/);
  expect(await faultOf("questdbs://:secret@h?tlsCa=/nowhere.pem")).not.toContain("secret");
});

test("withoutPassword() hides the password and nothing else", () => {
  expect(withoutPassword("questdb://me:p%40:x@h:1?a=b")).toBe("questdb://me:***@h:1?a=b");
  expect(withoutPassword("questdb://h:9000?prefix=a")).toBe("questdb://h:9000?prefix=a");
});
