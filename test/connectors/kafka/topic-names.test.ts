import { expect, test } from "bun:test";
import {
  deadLetterTopic,
  isTopicName,
  pipelineInputTopic,
  pipelineOutputTopic,
  repartitionTopic,
  streamTopic,
  topicName,
} from "../../../connectors/kafka/topic-names.ts";
import { uglyNames } from "../../contract/ugly-names.ts";

test("each kind of topic has its prefix and the definition's ID", () => {
  const id = "0123456789abcdef0123456789abcdef";
  expect(streamTopic(id)).toBe(`qmtl.stream.${id}`);
  expect(repartitionTopic(id)).toBe(`qmtl.repartition.${id}`);
  expect(deadLetterTopic(id)).toBe(`qmtl.dlq.${id}`);
  expect(pipelineInputTopic("p-1", "n.2")).toBe("qmtl.input.p-1.n.2");
  expect(pipelineOutputTopic("p_1", "N")).toBe("qmtl.output.p_1.N");
});

test("whatever a broker does not accept becomes one underscore per character", () => {
  expect(pipelineInputTopic("my pipeline/€", "🚀=1")).toBe("qmtl.input.my_pipeline__.__1");
  for (const name of uglyNames) expect(isTopicName(pipelineInputTopic(name, name))).toBe(true);
});

test("a name that is too long or only dots is refused, never cut", () => {
  expect(() => streamTopic("x".repeat(238))).toThrow(RangeError);
  expect(streamTopic("x".repeat(237)).length).toBe(249);
  expect(() => topicName("")).toThrow(RangeError);
  expect(() => topicName("", "")).toThrow(RangeError);
  expect(() => topicName("..")).toThrow(RangeError);
  expect(isTopicName("a b")).toBe(false);
});
