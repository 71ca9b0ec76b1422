/** Longest name of a topic, in characters, as the broker allows it. */
const nameLengthMax = 249;

/** Topic of the records that a definition emits. */
export function streamTopic(definitionId: string): string {
  return topicName("qmtl.stream", definitionId);
}

/** Topic by which a definition's records reach the tasks of other keys. */
export function repartitionTopic(definitionId: string): string {
  return topicName("qmtl.repartition", definitionId);
}

/** Topic of the messages that a definition's input could not be read from. */
export function deadLetterTopic(definitionId: string): string {
  return topicName("qmtl.dlq", definitionId);
}

/** Topic that feeds `node` of a pipeline. */
export function pipelineInputTopic(pipeline: string, node: string): string {
  return topicName("qmtl.input", pipeline, node);
}

/** Topic of what `node` of a pipeline emits. */
export function pipelineOutputTopic(pipeline: string, node: string): string {
  return topicName("qmtl.output", pipeline, node);
}

/**
 * `parts` joined by dots; whatever is not one of `A-Za-z0-9_.-` becomes `_`, one per character.
 *
 * @throws RangeError if the name is longer than 249 characters: cut names could meet.
 */
export function topicName(...parts: readonly string[]): string {
  const name = parts.map((part) => part.replace(/[^A-Za-z0-9_.-]/gu, "_")).join(".");
  if (isTopicName(name)) return name;
  throw new RangeError(
    `Cannot name a topic "${name}": it has ${name.length} characters, wanted 1 to ${nameLengthMax} and not only dots`,
  );
}

/** True if a broker accepts `name`. */
export function isTopicName(name: string): boolean {
  return (
    name.length <= nameLengthMax && /^[A-Za-z0-9_.-]+$/.test(name) && name !== "." && name !== ".."
  );
}
