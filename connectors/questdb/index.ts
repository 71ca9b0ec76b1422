/** `questdb://HOST:PORT`, history in QuestDB: rows any tool can query, many writers. */
export { type DeadLetter, openHistory } from "./history.ts";
export {
  type QuestdbLoader,
  type QuestdbRecorder,
  questdbLoader,
  questdbRecorder,
} from "./loader.ts";
