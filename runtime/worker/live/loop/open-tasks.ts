import { type ProducerIdentity, type Transport } from "../../../contract/transport.ts";
import { systemClock } from "../../../core/clock.ts";
import { type StagedGraph } from "../../../graph/stages.ts";
import { type NodeProfile } from "../../node-profile.ts";
import { type BoardRow } from "../board.ts";
import { type LatencyLog } from "../latency-log.ts";
import { type LiveOrder } from "../live-order.ts";
import {
  type Checkpoints,
  type LivePartition,
  LiveTask,
  type LiveTaskContext,
} from "../live-task.ts";
import { type ThreadMeter } from "../meters.ts";
import { type DeadLetters } from "../output/dead-letters.ts";
import { forwardSource } from "../repartition/forward-form.ts";
import { ForwardSenders } from "../repartition/forward-senders.ts";
import { Forwarder, type ForwardOptions } from "../repartition/forwarder.ts";
import { type FeedPositions } from "./feed-positions.ts";
import { type Quarantines } from "./quarantines.ts";

/** What tasks are opened with. */
export interface TaskOpening {
  readonly order: LiveOrder;
  readonly staged: StagedGraph;
  readonly transport: Transport;
  readonly checkpoints: Checkpoints | undefined;
  /** Takes in the tasks' feeds. */
  readonly positions: FeedPositions;
  readonly quarantines: Quarantines;
  readonly deadLetters: DeadLetters;
  readonly row: BoardRow;
  readonly latency: LatencyLog | undefined;
  readonly meter: ThreadMeter | undefined;
  readonly profile: NodeProfile | undefined;
  /** For what the tasks send; the opening has another. */
  readonly signal: AbortSignal;
}

/** A thread's tasks, each at its position. */
export interface OpenTasks {
  /** The deepest first: what has been forwarded is fetched before more of the inputs is. */
  readonly tasks: readonly LiveTask[];
  /** The ways into repartition topics, if there are any. */
  readonly forwards: ForwardSenders | undefined;
}

/** Makes the tasks of a thread's partitions and restores each, stage by stage. */
export async function openTasks(opening: TaskOpening, signal: AbortSignal): Promise<OpenTasks> {
  const { order, staged, positions, quarantines, row } = opening;
  const sending = await sendingOf(opening, signal);
  const context = contextOf(opening, sending);
  const tasks: LiveTask[] = [];
  for (const stage of [...staged.stages.keys()].toReversed()) {
    for (const partition of order.partitions) {
      const task = new LiveTask(context, stage, partition);
      tasks.push(task);
      for (const feed of task.feeds) positions.add(feed);
      await restore(task, opening, signal);
      // What a checkpoint brought back of nodes that are silent now is not to be gone on with.
      task.task.quarantine(quarantines.in(partition));
      for (const feed of task.feeds) feed.position = feed.reader.nextOffset;
    }
  }
  // A thread before this one may have counted records beyond the checkpoint: they come again.
  const inputs = tasks.flatMap(({ feeds }) => feeds).filter(({ isInput }) => isInput);
  row.set(
    "records",
    inputs.reduce((sum, { reader }) => sum + reader.counts.records, 0),
  );
  return { tasks, forwards: sending.forwarding?.senders };
}

async function restore(
  task: LiveTask,
  { checkpoints, positions }: TaskOpening,
  signal: AbortSignal,
): Promise<void> {
  const start = async (feed: LivePartition): Promise<number> =>
    await positions.startOf(feed, signal);
  if (checkpoints !== undefined) await checkpoints.restore(task, start, signal);
  else for (const feed of task.feeds) feed.reader.nextOffset = await start(feed);
}

/** As whom, and where to, the tasks of a thread send. */
interface Sending {
  readonly producer: ProducerIdentity | undefined;
  /** Whose plan it is, as repartition topics say it. */
  readonly source: number;
  /** Undefined if nothing is forwarded. */
  readonly forwarding: ForwardOptions | undefined;
}

async function sendingOf(
  { order, staged, transport, signal: sendSignal }: TaskOpening,
  signal: AbortSignal,
): Promise<Sending> {
  const { deployment, inputs, outputs, pace, run, state } = order;
  const { forwards, graph } = staged;
  const sends = outputs.length + forwards.length;
  // A producer has a name where the transport gives one and something is published.
  const producer = sends === 0 ? undefined : await transport.initProducer?.(signal);
  const source = forwardSource(state === undefined ? `${deployment} ${run}` : deployment);
  if (forwards.length === 0) return { producer, source, forwarding: undefined };
  const forwarding = {
    graph,
    senders: new ForwardSenders(transport, producer, pace),
    // All topics of a plan have equally many.
    partitions: await transport.partitionsOf(inputs[0]!.topic, signal),
    source,
    clock: systemClock,
    signal: sendSignal,
  };
  return { producer, source, forwarding };
}

function contextOf(
  opening: TaskOpening,
  { producer, source, forwarding }: Sending,
): LiveTaskContext {
  const { order, staged, transport, row, profile, signal: sendSignal } = opening;
  const { deadLetters, latency, meter, quarantines } = opening;
  return {
    order,
    staged,
    transport,
    producer,
    heartbeat: row.heartbeat,
    profile,
    source,
    sendSignal,
    quarantinedIn: (partition) => quarantines.in(partition),
    onDeadLetter: (stream, letter) => deadLetters.add(stream, letter),
    onRow: (stream) => latency?.probeOf(stream),
    onOutputs: (node, count) => {
      row.add("outputs", count);
      meter?.emitted(node.index, count);
    },
    forwarderOf: ({ nodes }) => {
      const own = staged.forwards.filter(({ from }) => nodes.includes(from));
      return forwarding === undefined || own.length === 0
        ? undefined
        : new Forwarder(forwarding, own);
    },
  };
}
