/** Which announcements an event sets off. */
import type { Event } from '#agent/domain/event.ts';
import type { AnnouncementConfig } from '#config/schema.ts';

type Trigger = AnnouncementConfig['on'][number];

/** @returns whether any of the triggers means this event */
export const isSetOff = ({ on }: Pick<AnnouncementConfig, 'on'>, event: Event): boolean =>
  on.some((trigger) => means(trigger, event));

function means({ kind, phase, rule, subject, event: told }: Trigger, event: Event): boolean {
  if (event.kind !== kind) return false;
  if (phase === undefined ? event.phase !== undefined && event.phase !== 'start' : event.phase !== phase) return false;
  // a reading without a phase is telemetry: a measurement, not something that happens
  if (event.kind === 'reading' && event.phase === undefined) return false;
  const data: Readonly<Record<string, unknown>> = event.data;
  return (
    (rule === undefined || data['rule'] === rule) &&
    (subject === undefined || event.subject === subject) &&
    (told === undefined || data['event'] === told)
  );
}
