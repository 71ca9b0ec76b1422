/** `kafka:`, the connector of Apache Kafka 2.4 to 4.x. */
export {
  deadLetterTopic,
  pipelineInputTopic,
  pipelineOutputTopic,
  repartitionTopic,
  streamTopic,
} from "./topic-names.ts";
export { openTransport } from "./transport.ts";
