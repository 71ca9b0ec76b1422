/** A Java program and how much memory it gets. */
export interface JavaProgram {
  readonly javaPath: string;
  readonly classPath: string;
  readonly mainClass: string;
  readonly heapMbMax: number;
  /** `-Xlog…`, `-Dname=value` and the class archive. */
  readonly flags: readonly string[];
  readonly arguments: readonly string[];
}

/**
 * The command line of `program`. For tests only the first compiler runs: a JVM that lives for
 * seconds spends more on compiling well than it wins. For work it may compile fully.
 */
export function javaCommand(program: JavaProgram, purpose: "test" | "work"): readonly string[] {
  return [
    program.javaPath,
    "-Xms32m",
    `-Xmx${program.heapMbMax}m`,
    "-XX:+UseSerialGC",
    ...(purpose === "test" ? ["-XX:TieredStopAtLevel=1"] : []),
    ...program.flags,
    "-cp",
    program.classPath,
    program.mainClass,
    ...program.arguments,
  ];
}
