/** A strategy's file as a user has it: `qmtl run live-program.ts --mode live …`. */
import { Runner } from "qmtl";
import { Means } from "./live-strategies.ts";

export { Means };

await Runner.main(import.meta, Means, { interval: "1m" });
