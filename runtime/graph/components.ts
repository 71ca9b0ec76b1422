import { type Graph } from "./graph.ts";

/** A stream's key as a replay or a fetch feeds it. */
export interface Root {
  /** Index of the stream in `Graph.nodes`. */
  readonly node: number;
  readonly key: string;
}

/** Keys that some join brings together: they live in one task, apart from all others. */
export interface Component {
  readonly roots: readonly Root[];
  /** True if a node in it waits for more than one root. */
  readonly hasJoins: boolean;
}

/** The name of a root, unique within a graph. */
export function rootName(root: Root): string {
  return nameOf(root.node, root.key);
}

/** The name of a definition's stream for one key, unique within a graph. */
function nameOf(node: number, key: string): string {
  return `${node} ${key}`;
}

/**
 * The roots that each (node, key) hangs on. One root: the node runs at once on each of its records;
 * more: it waits until all of them have come to the time it runs for.
 */
function rootsOf(graph: Graph): ReadonlyMap<string, readonly Root[]> {
  const all = new Map<string, readonly Root[]>();
  for (const node of graph.nodes) {
    for (const { key, inputKeys } of node.keys) {
      if (node.kind === "stream") {
        all.set(nameOf(node.index, key), [{ node: node.index, key }]);
        continue;
      }
      const roots = new Map<string, Root>();
      for (const [i, input] of node.inputs.entries()) {
        for (const root of all.get(nameOf(input.from, inputKeys[i] ?? key)) ?? []) {
          roots.set(rootName(root), root);
        }
      }
      all.set(nameOf(node.index, key), [...roots.values()]);
    }
  }
  return all;
}

/**
 * Splits the graph's roots into components, in the order of their first root: no node reads across
 * two of them, so any number of tasks can work side by side with equal results.
 */
export function componentsOf(graph: Graph): readonly Component[] {
  const leader = new Map<string, string>();
  const find = (name: string): string => {
    let at = name;
    for (;;) {
      const next = leader.get(at) ?? at;
      if (next === at) return at;
      at = next;
    }
  };
  const roots = new Map<string, Root>();
  const joined = new Set<string>();
  for (const [, own] of rootsOf(graph)) {
    const first = own[0];
    if (first === undefined) continue;
    for (const root of own) {
      const name = rootName(root);
      roots.set(name, root);
      leader.set(find(name), find(rootName(first)));
    }
    if (own.length > 1) joined.add(rootName(first));
  }
  const groups = Map.groupBy(roots, ([name]) => find(name));
  const joinedLeaders = new Set([...joined].map(find));
  return [...groups].map(([name, members]) => ({
    roots: members.map(([, root]) => root),
    hasJoins: joinedLeaders.has(name),
  }));
}

/** Deals components to `taskCount` tasks in turn: static, balanced, and without effect on results. */
export function dealTasks(
  components: readonly Component[],
  taskCount: number,
): readonly (readonly Component[])[] {
  const tasks = Array.from(
    { length: Math.min(taskCount, components.length) },
    (): Component[] => [],
  );
  for (const [i, component] of components.entries()) tasks[i % tasks.length]?.push(component);
  return tasks;
}

/**
 * Definitions that wait: some key of theirs hangs on more than one root, or an input of theirs
 * waits. All others run at once on each record of their stream.
 */
export function waitingNodes(graph: Graph): ReadonlySet<number> {
  const roots = rootsOf(graph);
  const waiting = new Set<number>();
  for (const node of graph.nodes) {
    const isWide = node.keys.some(
      ({ key }) => (roots.get(nameOf(node.index, key)) ?? []).length > 1,
    );
    if (isWide || node.inputs.some(({ from }) => waiting.has(from))) waiting.add(node.index);
  }
  return waiting;
}

/** The nodes of `quarantined` and all that read from them, directly or not. */
export function silencedBy(graph: Graph, quarantined: ReadonlySet<number>): ReadonlySet<number> {
  const silent = new Set(quarantined);
  for (const { index, inputs } of graph.nodes) {
    if (inputs.some(({ from }) => silent.has(from))) silent.add(index);
  }
  return silent;
}
