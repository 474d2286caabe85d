/**
 * The life of what lasts: one id from its start to its end, updates in between, a rest after it.
 *
 *   none --holds, and no cooldown--> start --every updateInterval--> update --holds no more--> end
 */
import type { Phase } from '#agent/domain/event.ts';
import type { Site } from './reducer.ts';

export interface Incident {
  readonly id: string;
  readonly startedMs: number;
  /** When it was last told of. */
  readonly toldMs: number;
}

/** What a rule on a camera remembers between incidents. */
export interface Ledger {
  /** Incidents so far; numbers the next one. */
  readonly opened: number;
  readonly restUntilMs: number | null;
}

export const emptyLedger: Ledger = { opened: 0, restUntilMs: null };

export interface IncidentOptions {
  readonly id: string;
  readonly cooldown: number;
  readonly updateInterval: number;
}

export interface Turn {
  readonly ledger: Ledger;
  /** After this turn; undefined when none is open. */
  readonly incident: Incident | undefined;
  /** What is to be told, if anything: the phase, and the incident it is about. */
  readonly told?: { readonly phase: Phase; readonly id: string; readonly durationMs: number };
}

export const isResting = ({ restUntilMs }: Ledger, atMs: number): boolean => restUntilMs !== null && atMs < restUntilMs;

/** The next free id and the ledger that knows it; dots do not occur in ids of rules and cameras. */
export function openNext(ledger: Ledger, rule: { readonly id: string }, site: Site): { id: string; ledger: Ledger } {
  const opened = ledger.opened + 1;
  return { id: `${site.run}.${rule.id}.${site.camera}.${opened}`, ledger: { ...ledger, opened } };
}

export const rest = (ledger: Ledger, cooldown: number, atMs: number): Ledger =>
  cooldown > 0 ? { ...ledger, restUntilMs: atMs + cooldown } : ledger;

/** One moment in the life of an incident that may be open. */
export function turn(
  incident: Incident | undefined,
  holds: boolean,
  ledger: Ledger,
  rule: IncidentOptions,
  site: Site,
  atMs: number,
): Turn {
  if (!incident) {
    if (!holds || isResting(ledger, atMs)) return { ledger, incident };
    const next = openNext(ledger, rule, site);
    const opened = { id: next.id, startedMs: atMs, toldMs: atMs };
    return { ledger: next.ledger, incident: opened, told: { phase: 'start', id: next.id, durationMs: 0 } };
  }
  const durationMs = Math.round(atMs - incident.startedMs);
  if (!holds) {
    const told = { phase: 'end', id: incident.id, durationMs } as const;
    return { ledger: rest(ledger, rule.cooldown, atMs), incident: undefined, told };
  }
  if (rule.updateInterval === 0 || atMs - incident.toldMs < rule.updateInterval) return { ledger, incident };
  const told = { phase: 'update', id: incident.id, durationMs } as const;
  return { ledger, incident: { ...incident, toldMs: atMs }, told };
}
