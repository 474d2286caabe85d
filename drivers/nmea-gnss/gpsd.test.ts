/** gpsd, as a peer: it takes our simulator for a receiver, and its regression logs say what ours must make of them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { seededRandom } from '#agent/core/random.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsData, needsProgram } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { openPty } from '../pty.ts';
import { simulate } from '../simulator.ts';
import { driver } from './driver.ts';

interface Line {
  readonly time: string | null;
  readonly lat: number | null;
  readonly lon: number | null;
  readonly altMsl: number | null;
  readonly mode: string;
  readonly satellitesUsed: number;
  readonly speed: number | null;
  readonly course: number | null;
}

/** What gpsd made of a moment: its last TPV of that time, and the satellites of its last SKY. */
interface Said {
  mode: number;
  lat?: number;
  lon?: number;
  altMSL?: number;
  speed?: number;
  track?: number;
  uSat?: number;
}

const options = driver.options.parse({});
/** Logs that carry NMEA, and what differs by gpsd's own choice. */
const logs: readonly {
  readonly name: string;
  readonly moments: number;
  readonly era?: string;
  readonly satellites?: string;
}[] = [
  { name: 'ait250', moments: 33, era: 'gpsd takes a date of 2009 for one of a receiver that is 1024 weeks behind' },
  { name: 'beidou-gb', moments: 1, era: 'the same, of 2015' },
  { name: 'bu353s4', moments: 25, era: 'the same, of 2014' },
  { name: 'mt3339', moments: 30, era: 'the same, of 2015' },
  { name: 'nmea-rtk', moments: 122 },
  { name: 'ublox-8', moments: 72 },
  {
    name: 'ublox-neo-m9n-nmea',
    moments: 61,
    satellites: 'gpsd does not find Galileo and BeiDou by their numbers in GSA',
  },
  { name: 'ublox-zed-f9p-nmea', moments: 29, satellites: 'the same, and it counts a satellite once a signal' },
];
const eraMs = 1_024 * 7 * 86_400_000;

describeWith('gpsd’s logs', [needsData('gpsd')], () => {
  it.each(logs)('$name: fix, position, time and satellites, as gpsd says', ({ name, moments, era, satellites }) => {
    const ours = new Map(decodeLog(name).map((line) => [line.time, line]));
    const theirs = gpsdOf(name);
    expect(theirs.size).toBe(moments);
    for (const [time, said] of theirs) {
      const line = ours.get(era === undefined ? time : new Date(Date.parse(time) - eraMs).toISOString());
      expect(line, `${name} ${time}`).toBeDefined();
      if (!line) continue;
      expect({ none: 1, '2d': 2, '3d': 3 }[line.mode], time).toBe(said.mode);
      near(line.lat, said.lat, 1e-8);
      near(line.lon, said.lon, 1e-8);
      near(line.altMsl, said.altMSL, 1e-3);
      near(line.speed, said.speed, 2e-3);
      near(line.course, said.track, 1e-3);
      if (satellites === undefined && said.uSat !== undefined) expect(line.satellitesUsed, time).toBe(said.uSat);
    }
  });

  it.each(['ublox-neo-m9n-nmea', 'ublox-zed-f9p-nmea'])('%s: satellites used, as GSA names them', (name) => {
    const named = new Map<string, Set<string>>();
    let time = '';
    for (const line of readFileSync(testData('gpsd', `${name}.log`), 'latin1').split(/\r?\n/)) {
      const fields = line.split('*')[0]?.split(',') ?? [];
      if (fields[0] === '$GNRMC') time = fields[1] ?? '';
      if (fields[0] !== '$GNGSA') continue;
      const used = named.get(time) ?? named.set(time, new Set()).get(time);
      for (const id of fields.slice(3, 15)) if (id) used?.add(`${fields[18] ?? ''} ${id}`);
    }
    const counted = decodeLog(name).map(({ satellitesUsed }) => satellitesUsed);
    expect(counted).toEqual([...named.values()].map(({ size }) => size));
    expect(counted.length).toBeGreaterThan(20);
  });

  it.each(['rtcm3.2', 'skytraq-err'])('%s has no NMEA of a position, and gives none', (name) => {
    expect(decodeLog(name)).toEqual([]);
    expect(gpsdOf(name).size).toBe(0);
  });
});

function decodeLog(name: string): readonly Line[] {
  const codec = driver.protocol(options).host();
  const make = driver.decoder(options);
  const bytes = readFileSync(testData('gpsd', `${name}.log`));
  const messages = [...codec.push(bytes).messages, ...codec.quiet().messages, undefined];
  return messages.flatMap((message) => make(message) as readonly unknown[] as readonly Line[]);
}

/** The file holds the sentences with what gpsd said after each. */
function gpsdOf(name: string): ReadonlyMap<string, Said> {
  const said = new Map<string, Said>();
  const sky = new Map<string, number>();
  let clockTime = '';
  for (const line of readFileSync(testData('gpsd', `${name}.log.chk`), 'latin1').split(/\r?\n/)) {
    const [, formatter = '', rest = ''] = /^\$..(RMC|GGA|GNS),([^*]*)/.exec(line) ?? [];
    if (formatter !== '') clockTime = rest.split(',')[0] ?? '';
    if (!line.startsWith('{"class":"TPV"') && !line.startsWith('{"class":"SKY"')) continue;
    const report = JSON.parse(line) as Said & { readonly class: string; readonly time?: string };
    if (report.class === 'SKY' && report.uSat !== undefined) sky.set(clockTime, report.uSat);
    if (report.class === 'TPV' && report.time !== undefined) said.set(report.time, report);
  }
  for (const [time, report] of said) {
    const [hours, minutes, seconds] = [time.slice(11, 13), time.slice(14, 16), time.slice(17, 19)];
    const found = [...sky].find(([key]) => key.startsWith(`${hours}${minutes}${seconds}`));
    if (found) report.uSat = found[1];
  }
  return said;
}

function near(ours: number | null, theirs: number | undefined, within: number): void {
  if (theirs === undefined) expect(ours).toBeNull();
  else expect(Math.abs((ours ?? Number.NaN) - theirs)).toBeLessThanOrEqual(within);
}

describeWith('gpsd', [needsProgram('gpsd'), needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('gets a fix from the simulator', async () => {
    const stop = new AbortController();
    await using pty = openPty(systemClock);
    const simulator = driver.simulator(options);
    const codec = driver.protocol(options).device();
    const playing = simulate(
      { simulator, codec, transport: pty, clock: systemClock, random: seededRandom(1) },
      stop.signal,
    );
    const port = await freePort();
    const gpsd = spawn('gpsd', ['-N', '-n', '-b', '-S', String(port), pty.path], { stdio: 'ignore' });
    try {
      const fix = await eventually(async () => await firstFix(port), 'a fix of gpsd', 60_000);
      expect(fix.mode).toBe(3);
      expect(fix.lat).toBeCloseTo(31.23, 2);
      expect(fix.lon).toBeCloseTo(121.47, 2);
      expect(Math.abs(Date.parse(fix.time) - systemClock.wallMs())).toBeLessThan(60_000);
    } finally {
      await ended(gpsd);
      stop.abort();
      await playing;
    }
  });
});

interface Tpv {
  readonly class: string;
  readonly mode: number;
  readonly lat?: number;
  readonly lon?: number;
  readonly time?: string;
}

/** @returns undefined while there is none */
async function firstFix(port: number): Promise<Required<Tpv> | undefined> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    const done = (fix: Required<Tpv> | undefined): void => {
      socket.destroy();
      resolve(fix);
    };
    socket.setTimeout(5_000, () => done(undefined));
    socket.on('error', () => done(undefined));
    socket.on('connect', () => socket.write('?WATCH={"enable":true,"json":true};\n'));
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      for (const line of text.split('\n').slice(0, -1)) {
        const report = JSON.parse(line) as Tpv;
        if (report.class === 'TPV' && report.mode >= 2 && isWhole(report)) done(report);
      }
    });
  });
}

const isWhole = (report: Tpv): report is Required<Tpv> =>
  report.time !== undefined && report.lat !== undefined && report.lon !== undefined;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  server.close();
  return port;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
