/** What may be said of the voice and of power, and what of them is refused. */
import { describe, expect, it } from 'vitest';
import { checkConfig } from './check.ts';
import type { ConfigInput } from './load.ts';
import { pathText } from './path.ts';

const peripherals = [{ id: 'ups', driver: 'megatec-ups', port: '/dev/ttyS0' }];

function complaints(config: ConfigInput): string[] {
  const checked = checkConfig({ peripherals, ...config });
  return checked.ok ? [] : checked.complaints.map(({ path, message }) => `${pathText(path)}: ${message}`);
}

describe('the voice', () => {
  it('is off by default, and sane', () => {
    const checked = checkConfig({});
    expect(checked.ok && checked.config.voice).toMatchObject({
      announcements: [],
      languages: ['zh', 'en'],
      volume: 80,
      alarmVolume: 80,
      player: [],
    });
  });

  const order = { action: 'set', args: { on: true } };
  type Announcement = NonNullable<NonNullable<ConfigInput['voice']>['announcements']>[number];
  it.each<[string, Announcement, RegExp]>([
    ['nothing to say', { id: 'a' }, /needs a text, a file, or something/],
    ['too much to say', { id: 'a', text: { en: 'x'.repeat(501) } }, /text\.en/],
    [
      'an unknown rule',
      { id: 'a', text: { en: 'x' }, on: [{ kind: 'reading', rule: 'smoke' }] },
      /on\[0\]\.rule: is not a rule/,
    ],
    [
      'an unknown siren',
      { id: 'a', with: [{ peripheral: 'siren', start: order, end: order }] },
      /with\[0\]\.peripheral: is not a peripheral here/,
    ],
  ])('refuses %s', (_what, announcement, expected) => {
    expect(complaints({ voice: { announcements: [announcement] } }).join()).toMatch(expected);
  });

  it('refuses an id twice, and a voice that would be an option', () => {
    const twice = { id: 'a', text: { zh: '请离开' } };
    expect(complaints({ voice: { announcements: [twice, twice] } })).toEqual([
      'voice.announcements[1].id: is the id of another announcement already',
    ]);
    expect(complaints({ voice: { voices: { en: '--path=/x' } } }).join()).toMatch(/voices\.en/);
  });
});

describe('power', () => {
  it('is off by default; a command is a list, never a line for a shell', () => {
    const checked = checkConfig({});
    expect(checked.ok && checked.config.power).toMatchObject({ cut: false, command: [] });
    expect(complaints({ power: { command: 'systemctl poweroff' as never } }).join()).toMatch(/power\.command/);
  });

  it.each(['12s', '54s', '1m', '10m'] as const)('takes a delay of %s', (delay) => {
    expect(complaints({ power: { ups: 'ups', cut: true, delay } })).toEqual([]);
  });

  it.each<[string, NonNullable<ConfigInput['power']>, string]>([
    ['a delay between', { ups: 'ups', delay: '90s' }, 'power.delay'],
    ['a delay that is too long', { ups: 'ups', delay: '11m' }, 'power.delay'],
    ['no delay', { ups: 'ups', delay: '0s' }, 'power.delay'],
    ['a return in seconds', { ups: 'ups', return: '30s' }, 'power.return'],
    ['a cut of nothing', { cut: true }, 'power.cut'],
    ['an unknown supply', { ups: 'other' }, 'power.ups'],
  ])('refuses %s', (_what, power, path) => {
    expect(complaints({ power }).map((each) => each.split(':')[0])).toEqual([path]);
  });
});
