/** Cards of four kinds, numbers that are right and wrong, and a desk on which cards are forgotten. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { openRig, type Rig } from '../conformance/rig.ts';
import { type Observation, sealed } from '../driver.ts';
import type { Simulator } from '../simulator.ts';
import { readCard } from './card.ts';
import type { Command, Response } from './codec.ts';
import { driver } from './driver.ts';
import { cardSchema, manifest, options } from './manifest.ts';
import { checkDigit, judgeNumber } from './number.ts';
import { inventedCard, inventedNumber, inventedPhoto, sdtSimulator, textOf } from './simulator.ts';
import { moduleNumberText } from './steps.ts';

const content = (text: Uint8Array, photo = inventedPhoto): Uint8Array =>
  Uint8Array.from([1, 0, photo.length >> 8, photo.length & 0xff, ...text, ...photo]);

describe('a card', () => {
  it('of a resident', () => {
    const card = readCard(content(textOf('resident', inventedCard)), false);
    expect(cardSchema.parse(card)).toEqual({
      document: 'resident',
      name: '试验样人甲乙',
      sex: 'female',
      nation: '97',
      nationName: '其他',
      birth: '1899-01-01',
      address: '乌有省子虚市无何有县莫须有路〇号',
      number: inventedNumber,
      numberIs: 'right',
      issuer: '子虚市公安局无何有分局',
      validFrom: '2099-01-01',
      validUntil: 'long-term',
    });
  });

  it('of a resident of Hong Kong, Macao or Taiwan', () => {
    const fields = { ...inventedCard, nation: '', passNumber: 'X00000000', issues: '01' };
    expect(readCard(content(textOf('residence-permit', fields)), false)).toMatchObject({
      document: 'residence-permit',
      number: inventedNumber,
      numberIs: 'right',
      passNumber: 'X00000000',
      issues: '01',
    });
  });

  it('of a foreigner, 2017', () => {
    const fields = {
      latinName: 'NOBODY, NOWHERE',
      sex: '1',
      number: 'XXX000000000000',
      nationality: 'XXX',
      name: '无名氏',
      validFrom: '20990101',
      validUntil: '20990102',
      birth: '18990101',
      version: '01',
      issuer: '0000',
    };
    expect(readCard(content(textOf('foreigner-2017', fields)), false)).toEqual({
      document: 'foreigner-2017',
      name: '无名氏',
      latinName: 'NOBODY, NOWHERE',
      sex: 'male',
      nationality: 'XXX',
      birth: '1899-01-01',
      number: 'XXX000000000000',
      numberIs: 'unchecked',
      issuer: '0000',
      validFrom: '2099-01-01',
      validUntil: '2099-01-02',
    });
  });

  it('of a foreigner, 2023, whose name may go on elsewhere', () => {
    const number = `90000018990101999${checkDigit('90000018990101999')}`;
    const fields = {
      name: '无名氏',
      latinName: 'N'.repeat(35),
      latinNameGoesOn: 'OBODY',
      number,
      birth: '18990101',
      nationality: '000',
    };
    expect(readCard(content(textOf('foreigner-2023', fields)), false)).toMatchObject({
      document: 'foreigner-2023',
      latinName: `${'N'.repeat(35)}OBODY`,
      number,
      numberIs: 'right',
      nationality: '000',
    });
  });

  it('has its photo only where it is asked for, as it is', () => {
    const data = content(textOf('resident', inventedCard));
    expect(readCard(data, false)).not.toHaveProperty('photo');
    expect(readCard(data, true)?.photo).toBe(Buffer.from(inventedPhoto).toString('base64'));
  });

  it.each([
    ['too short', new Uint8Array(200)],
    ['of another length than it says', content(textOf('resident', inventedCard)).slice(0, 800)],
    ['blank', content(textOf('resident', {}))],
  ])('that is %s is none', (_what, data) => {
    expect(readCard(data, true)).toBeUndefined();
  });

  it.each([
    ['a day that no calendar has', { birth: '18990230' }],
    ['letters', { birth: 'yesterda' }],
  ])('with %s for a date has none, and its number is not right', (_what, wrong) => {
    const card = readCard(content(textOf('resident', { ...inventedCard, ...wrong })), false);
    expect(card).toMatchObject({ numberIs: 'wrong' });
    expect(card).not.toHaveProperty('birth');
  });
});

describe('any bytes', () => {
  it('are a card, or none', () => {
    const any = fc.uint8Array({ minLength: 250, maxLength: 400 });
    fc.assert(
      fc.property(any, fc.boolean(), (bytes, isFramed) => {
        const card = readCard(isFramed ? content(bytes.slice(0, 256), new Uint8Array(0)) : bytes, true);
        if (card) expect(cardSchema.safeParse(card).error).toBeUndefined();
      }),
      { seed: 20_261_126, numRuns: 1_000 },
    );
  });
});

describe('a number', () => {
  // the two examples that GB 11643-1999 prints itself
  it.each([
    ['11010519491231002', 'X'],
    ['44052418800101001', '4'],
  ])('%s has the check digit %s', (leading, digit) => {
    expect(checkDigit(leading)).toBe(digit);
  });

  it('shows every wrong digit and every two that changed places', () => {
    const judge = (number: string): string => judgeNumber('resident', number, '1899-01-01');
    expect(judge(inventedNumber)).toBe('right');
    for (let at = 0; at < 18; at += 1) {
      const [before, digit, after] = [
        inventedNumber.slice(0, at),
        inventedNumber[at] ?? '',
        inventedNumber.slice(at + 1),
      ];
      expect(judge(`${before}${(Number(digit) + 1) % 10}${after}`)).toBe('wrong');
      const next = after[0];
      if (next !== undefined && next !== digit)
        expect(judge(`${before}${next}${digit}${after.slice(1)}`)).toBe('wrong');
    }
  });

  it('that holds another date of birth than the card is wrong', () => {
    expect(judgeNumber('resident', inventedNumber, '1899-01-02')).toBe('wrong');
    expect(judgeNumber('resident', 'short', undefined)).toBe('wrong');
  });
});

describe('a module', () => {
  it('says its number as makers print it', () => {
    const data = Uint8Array.of(5, 0, 3, 0, 0x2d, 0x63, 0x32, 0x01, 0x87, 0xd6, 0x12, 0, 0x15, 0xcd, 0x5b, 0x07);
    expect(moduleNumberText(data)).toBe('05.03-20079405-0001234567-0123456789');
  });
});

interface Watched {
  readonly rig: Rig;
  readonly seen: Observation[];
  readonly command: (action: string, args?: object) => Promise<unknown>;
  readonly events: () => readonly string[];
}

function watch(rig: Rig): Watched {
  const seen: Observation[] = [];
  void (async () => {
    for await (const observation of rig.opened.peripheral.observe(rig.signal)) seen.push(observation);
  })().catch(() => undefined);
  return {
    rig,
    seen,
    command: async (action, args = {}) => {
      const { args: schema } = rig.opened.manifest.actions[action] ?? {};
      return await rig.opened.peripheral.perform?.(action, schema?.parse(args) ?? {}, rig.signal);
    },
    events: () => seen.flatMap((each) => (each.is === 'event' ? [each.event] : [])),
  };
}

const desk = { pollEvery: 100 };
const rigOf = (make: () => Simulator<Response, Command> = () => sdtSimulator(), written: object = desk): Rig =>
  openRig(sealed({ ...driver, simulator: make }), options.parse(written));

/** Says that a card lies there as long as it does, as some modules do. */
function stubborn(): { readonly simulator: Simulator<Response, Command>; lift(): void } {
  const inner = sdtSimulator();
  let isThere = false;
  return {
    lift: () => (isThere = false),
    simulator: {
      ...inner,
      provoke: (event) => {
        isThere = true;
        inner.provoke?.(event);
        return inner.receive({ command: 0x20, parameter: 0x01, data: new Uint8Array(0) }).slice(1);
      },
      receive: (message) => {
        const answers = inner.receive(message);
        if (message.command !== 0x20 || message.parameter !== 0x01 || !isThere) return answers;
        return [{ sw1: 0, sw2: 0, status: 0x9f, data: new Uint8Array(4) }];
      },
    },
  };
}

/** Some polls long: that nothing happens has no moment at which it could be seen. */
const ofNoEffect = async (): Promise<void> => await new Promise((resolve) => setTimeout(resolve, 250));

describe('a desk', () => {
  it('is not looked at until somebody waits, and then for one card', async () => {
    await using rig = rigOf();
    const { seen, command, events } = watch(rig);
    rig.simulator.provoke?.('card');
    await eventually(() => seen.length >= 2, 'state and waiting');
    const asked = rig.received.length;
    await ofNoEffect();
    expect(rig.received).toHaveLength(asked);
    expect(await command('awaitCard', { seconds: 300 })).toEqual({ status: 'acknowledged' });
    await eventually(() => events().includes('card'), 'the card');
    await eventually(
      () => seen.filter((each) => each.is === 'reading' && each.property === 'waiting').length === 3,
      'no more',
    );
    rig.simulator.provoke?.('card');
    await ofNoEffect();
    expect(rig.simulator.state).toMatchObject({ reads: 1 });
    expect(events()).toEqual(['card']);
  });

  it('is given up when nobody comes in time, or when it is said', async () => {
    await using rig = rigOf();
    const { seen, command, events } = watch(rig);
    await command('awaitCard', { seconds: 1 });
    await eventually(() => events().includes('timeUp'), 'the time');
    await command('awaitCard', { seconds: 300 });
    await command('cancel');
    await eventually(() => seen.at(-1)?.is === 'reading', 'no more waiting');
    rig.simulator.provoke?.('card');
    await ofNoEffect();
    expect(events()).toEqual(['timeUp']);
  });

  it('with a forgotten card gives it to no other citizen', async () => {
    const double = stubborn();
    await using rig = rigOf(() => double.simulator);
    const { command, events } = watch(rig);
    rig.simulator.provoke?.('card');
    await command('awaitCard', { seconds: 300 });
    await eventually(() => events().length === 1, 'the first card');
    await command('awaitCard', { seconds: 300 });
    const asked = rig.received.length;
    await eventually(() => rig.received.length > asked + 3, 'looks at the desk');
    expect(events()).toEqual(['card']);
    double.lift();
    await eventually(() => rig.received.length > asked + 6, 'looks at the empty desk');
    rig.simulator.provoke?.('card');
    await eventually(() => events().length === 2, 'the next card');
  });

  it('says once why a card cannot be read', async () => {
    await using rig = rigOf(undefined, { ...desk, reading: 'always' });
    const { seen, events } = watch(rig);
    rig.simulator.provoke?.('failed');
    await eventually(() => events().length === 1, 'the failure');
    expect(seen.find(({ is }) => is === 'event')).toMatchObject({
      data: { step: 'select', reason: expect.stringContaining('lifted too early') as string },
    });
  });

  it('takes no late answer to another question for its own', async () => {
    const inner = sdtSimulator();
    let delayed: readonly Response[] = [];
    await using rig = rigOf(
      () => ({
        ...inner,
        // the answer to each question comes only after the next
        receive: (message) => {
          const before = delayed;
          delayed = inner.receive(message);
          return before;
        },
      }),
      { ...desk, reading: 'always' },
    );
    const { events } = watch(rig);
    rig.simulator.provoke?.('card');
    await eventually(() => rig.received.length > 6, 'questions');
    expect(events()).not.toContain('card');
  });
});

describe('what is about a person', () => {
  it('is the card, whole', () => {
    const { events, properties } = manifest(options.parse({}));
    expect(
      Object.entries(events)
        .filter(([, { personal }]) => personal)
        .map(([name]) => name),
    ).toEqual(['card']);
    expect(Object.values(properties).some(({ personal }) => personal)).toBe(false);
  });

  it('is not shown', () => {
    const data = content(textOf('resident', inventedCard));
    const shown = JSON.stringify(driver.show?.({ sw1: 0, sw2: 0, status: 0x90, data }));
    expect(shown).toBe('{"status":"90","means":"status 90","bytes":1284}');
  });
});
