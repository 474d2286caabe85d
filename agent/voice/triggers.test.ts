/** Which events set an announcement off. */
import { describe, expect, it } from 'vitest';
import type { Event } from '#agent/domain/event.ts';
import { parseConfig } from '#config/load.ts';
import type { AnnouncementConfig } from '#config/schema.ts';
import { isSetOff } from './triggers.ts';

type On = NonNullable<
  NonNullable<NonNullable<Parameters<typeof parseConfig>[0]['voice']>['announcements']>[number]['on']
>;

const triggers = (on: On) =>
  parseConfig({
    rules: [{ kind: 'reading', id: 'smoke', property: 'smoke', equals: true }],
    voice: { announcements: [{ id: 'a', text: { en: 'x' }, on }] },
  }).voice.announcements[0] as AnnouncementConfig;

const reading = (phase: Event['phase'], rule?: string): Event => ({
  kind: 'reading',
  ...(phase === undefined ? {} : { phase }),
  lane: 'alarm',
  subject: 'peripheral/detector',
  wallMs: 0,
  monoMs: 0,
  data: {
    peripheral: 'detector',
    property: 'smoke',
    value: true,
    quality: 'good',
    ...(rule === undefined ? {} : { rule }),
  },
});
const told = (event: string): Event => ({
  kind: 'peripheral',
  lane: 'event',
  subject: 'peripheral/ups',
  wallMs: 0,
  monoMs: 0,
  data: { peripheral: 'ups', driver: 'megatec-ups', condition: 'told', event },
});

describe('an event', () => {
  it.each<[string, On[number], Event, boolean]>([
    ['of the kind, at its start', { kind: 'reading' }, reading('start', 'smoke'), true],
    ['at its end, when nothing is said of a phase', { kind: 'reading' }, reading('end', 'smoke'), false],
    ['at its end, when that is asked for', { kind: 'reading', phase: 'end' }, reading('end', 'smoke'), true],
    ['of the rule', { kind: 'reading', rule: 'smoke' }, reading('start', 'smoke'), true],
    ['of another rule', { kind: 'reading', rule: 'smoke' }, reading('start', 'heat'), false],
    ['that is telemetry', { kind: 'reading' }, reading(undefined), false],
    ['of another kind', { kind: 'intrusion' }, reading('start', 'smoke'), false],
    ['of the subject', { kind: 'peripheral', subject: 'peripheral/ups' }, told('onBattery'), true],
    ['of another subject', { kind: 'peripheral', subject: 'peripheral/door' }, told('onBattery'), false],
    ['that a device tells', { kind: 'peripheral', event: 'onBattery' }, told('onBattery'), true],
    ['that is another of the device', { kind: 'peripheral', event: 'lowBattery' }, told('onBattery'), false],
  ])('%s', (_what, trigger, event, expected) => {
    expect(isSetOff(triggers([trigger]), event)).toBe(expected);
  });
});
