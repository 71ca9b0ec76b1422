import { expect, test } from "bun:test";
import {
  type ErrorData,
  errorText,
  fromErrorData,
  hasCode,
  isStop,
  QmtlError,
  retryOf,
  toErrorData,
} from "../../../runtime/core/errors.ts";

const error = new QmtlError("STORE_LOCKED", 'Cannot open "x.db": it is locked', { pid: 7 });

test("a QmtlError has a code, a message, details and, if there is one, a cause", () => {
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: "QmtlError", code: "STORE_LOCKED", details: { pid: 7 } });
  expect("cause" in error).toBeFalse();
  const cause = new Error("disk");
  expect(new QmtlError("STORE_FULL", "Cannot write", {}, cause).cause).toBe(cause);
  expect(new QmtlError("STORE_FULL", "Cannot write").details).toEqual({});
});

test("retryOf says for each code one of the three things that a caller can do", () => {
  expect(new Set(Object.values(retryOf))).toEqual(new Set(["never", "backoff", "reconnect"]));
  expect(retryOf.EXCHANGE_BANNED).toBe("backoff");
  expect(retryOf.CODE_AMBIGUOUS).toBe("never");
});

test("a QmtlError crosses a thread as plain data and comes back the same", () => {
  const data: ErrorData = structuredClone(toErrorData(error));
  const back = fromErrorData(data);
  expect(back).toBeInstanceOf(QmtlError);
  expect(back).toMatchObject({ code: error.code, message: error.message, details: error.details });
});

test("any other thrown value crosses as its text, without a code", () => {
  expect(toErrorData(new RangeError("too far"))).toEqual({
    code: undefined,
    message: "too far",
    details: {},
  });
  expect(toErrorData("text").message).toBe("text");
  const back = fromErrorData({ code: undefined, message: "too far", details: {} });
  expect(back).not.toBeInstanceOf(QmtlError);
  expect(back.message).toBe("too far");
});

test("errorText() is one line for whatever was thrown", () => {
  expect(errorText(error)).toBe('Cannot open "x.db": it is locked');
  expect(errorText(undefined)).toBe("undefined");
  expect(errorText(5)).toBe("5");
});

test("hasCode() is true for a QmtlError with one of the codes only", () => {
  expect(hasCode(error, "STORE_FULL", "STORE_LOCKED")).toBeTrue();
  expect(hasCode(error, "STORE_FULL")).toBeFalse();
  expect(hasCode(error)).toBeFalse();
  expect(hasCode({ code: "STORE_LOCKED" }, "STORE_LOCKED")).toBeFalse();
});

test("isStop() is true for the reason of a signal that has aborted, or a wait that it ended", () => {
  const stop = new AbortController();
  const reason = new Error("stopped on purpose");
  const aborted = new QmtlError("ABORTED", "Cannot go on: stopped");
  expect(isStop(aborted, stop.signal)).toBeFalse();
  stop.abort(reason);
  expect(isStop(reason, stop.signal)).toBeTrue();
  expect(isStop(aborted, stop.signal)).toBeTrue();
  expect(isStop(error, stop.signal)).toBeFalse();
});
