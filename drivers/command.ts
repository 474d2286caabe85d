/**
 * A command carried out by the rules of its action: checked, done, repeated where twice is once, and never left open.
 *
 *   arguments -> preconditions -> perform --no answer--> the state that would show it --> acknowledged | again | unknown
 *   stop: perform, again and again --> acknowledged | deadline: unknown
 */
import { onAbort } from '#agent/core/abort.ts';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import type { ReadingValue } from '#agent/domain/reading.ts';
import { z } from 'zod';
import type { Action, Outcome, Precondition, SafetyClass } from './driver.ts';
import type { OpenedPeripheral } from './open.ts';

/** Of these, an outcome that is not known is a human's affair, also where twice is once. */
const weighty: ReadonlySet<SafetyClass> = new Set(['alarm', 'print', 'lock', 'motion', 'power']);
export const isWeighty = ({ safety }: Pick<Action, 'safety'>): boolean => weighty.has(safety);

/** Ends what others began: held up by nothing. */
export const isStop = ({ safety }: Pick<Action, 'safety'>): boolean => safety === 'stop';
/** What a stop calls off while it waits, or is under way. */
export const isCalledOff = ({ safety }: Pick<Action, 'safety'>): boolean => safety === 'motion' || safety === 'alarm';

const mostTries = 3;
/** Between two tries of a stop, ms. */
const betweenStopsMs = 50;

export interface CommandContext {
  readonly opened: OpenedPeripheral;
  readonly clock: Clock;
  /** The newest observed value, where the device cannot be asked. */
  readonly latest: (property: string) => ReadingValue | undefined;
}

/** @returns how it ended; never throws but for the signal's reason, and then nothing is said of what was written */
export async function carryOut(
  name: string,
  args: unknown,
  context: CommandContext,
  signal: AbortSignal,
): Promise<Outcome> {
  const { actions } = context.opened.manifest;
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (!action) return rejected(`No action is named ${name}; there are: ${Object.keys(actions).join(', ') || 'none'}.`);
  const parsed = action.args.safeParse(args);
  if (!parsed.success) return rejected(`Wrong arguments: ${z.prettifyError(parsed.error)}`);
  const deadline = new AbortController();
  using _listening = onAbort(signal, () => deadline.abort(signal.reason));
  const overdue = new OutpostError('device-silent', 'The deadline passed.');
  void context.clock.sleep(action.deadlineMs, deadline.signal).then(
    () => deadline.abort(overdue),
    () => undefined,
  );
  const before = context.opened.link.bytesWritten;
  try {
    const carriedOut = isStop(action) ? insisted : tried;
    return await carriedOut(name, action, parsed.data, context, deadline.signal);
  } catch (thrown) {
    signal.throwIfAborted();
    // whatever broke: what was written may have been heard
    const reason = deadline.signal.aborted ? 'No answer within the deadline.' : messageOf(thrown);
    return settled(action, { status: context.opened.link.bytesWritten > before ? 'unknown' : 'timeout', reason });
  } finally {
    deadline.abort(overdue);
  }
}

async function tried(
  name: string,
  action: Action,
  args: Readonly<Record<string, unknown>>,
  context: CommandContext,
  signal: AbortSignal,
): Promise<Outcome> {
  const { peripheral, link } = context.opened;
  for (const precondition of action.preconditions ?? []) {
    const value = await valueOf(precondition.property, context, signal);
    if (!holds(precondition, value)) return rejected(refusalText(precondition, value));
  }
  if (!peripheral.perform) return rejected('This driver carries nothing out.');
  const shown = action.shownBy?.(args);
  for (let tries = 1; ; tries += 1) {
    const outcome = await peripheral.perform(name, args, signal);
    if (outcome.status === 'acknowledged' || outcome.status === 'rejected') return outcome;
    if (shown && link.isOpen && (await isShown(shown, context, signal))) return acknowledgedBy(shown);
    if (!action.idempotent || tries === mostTries || !link.isOpen) return settled(action, outcome);
  }
}

/** Until it is acknowledged, whatever else the device says; the deadline ends it. */
async function insisted(
  name: string,
  action: Action,
  args: Readonly<Record<string, unknown>>,
  context: CommandContext,
  signal: AbortSignal,
): Promise<Outcome> {
  const { peripheral, link } = context.opened;
  if (!peripheral.perform) return rejected('This driver carries nothing out.');
  const shown = action.shownBy?.(args);
  for (;;) {
    const outcome = await peripheral.perform(name, args, signal);
    if (outcome.status === 'acknowledged' || !link.isOpen) return outcome;
    if (shown && (await isShown(shown, context, signal))) return acknowledgedBy(shown);
    await context.clock.sleep(betweenStopsMs, signal);
  }
}

/** Where twice is once and little hangs on it, no answer is only that. */
const settled = (action: Action, outcome: Outcome): Outcome =>
  outcome.status === 'unknown' && action.idempotent && !isWeighty(action) && !isStop(action)
    ? { status: 'timeout', reason: outcome.reason }
    : outcome;

/** Whether the state says that it was carried out, though no answer did. */
const isShown = async (shown: Precondition, context: CommandContext, signal: AbortSignal): Promise<boolean> =>
  holds(shown, await valueOf(shown.property, context, signal));

const acknowledgedBy = ({ property }: Precondition): Outcome => ({
  status: 'acknowledged',
  result: { shownBy: property },
});

async function valueOf(
  property: string,
  { opened, latest }: CommandContext,
  signal: AbortSignal,
): Promise<ReadingValue | undefined> {
  const asked = await opened.peripheral.read?.(property, signal);
  const observed = asked?.find((each) => each.is === 'reading' && each.property === property);
  if (observed?.is === 'reading') return observed.quality === 'bad' ? undefined : observed.value;
  return asked === undefined ? latest(property) : undefined;
}

const holds = ({ oneOf }: Precondition, value: ReadingValue | undefined): boolean =>
  value !== undefined && typeof value !== 'object' && oneOf.includes(value);

const refusalText = ({ property, oneOf }: Precondition, value: ReadingValue | undefined): string =>
  `${property} must be ${oneOf.map(String).join(' or ')} first; it is ${value === undefined ? 'not known' : JSON.stringify(value)}.`;

const rejected = (reason: string): Outcome => ({ status: 'rejected', reason });
