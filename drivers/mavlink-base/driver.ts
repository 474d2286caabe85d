/**
 * A robot's base: what it tells, and what it is told, behind its fence, its speed limit and its own failsafe.
 *
 *   identify: heartbeat, failsafe parameters     configure: what it is to tell, the fence     observe: listen, and beat
 *   perform:  refused here, before a byte is written, or said once
 */
import { onAbort } from '#agent/core/abort.ts';
import type { Driver, Identity, Observation, OpenContext, Outcome, Peripheral } from '../driver.ts';
import type { Autopilot } from './autopilots.ts';
import { mavlinkCodec, type Packet } from './codec.ts';
import { Commander } from './commander.ts';
import { layoutByName, type MessageName } from './definitions.ts';
import { commands, components, missionTypes, vehicles } from './enums.ts';
import { beatMs, Exchange, fieldsOf } from './exchange.ts';
import type { LatLon } from './fence.ts';
import { manifest, options, type Options } from './manifest.ts';
import { clear, upload } from './missions.ts';
import { Picture } from './picture.ts';
import { missionItems, routeProblem, type Waypoint, wayProblem } from './route.ts';
import { loadFence, readFailsafe, readFence, readMission, readParameter, type Safety, unsafe } from './safety.ts';
import { rover } from './simulator.ts';

type Context = OpenContext<Options, Packet, Packet>;

export const driver: Driver<Options, Packet, Packet> = {
  name: 'mavlink-base',
  options,
  example: {
    fence: [
      { latitude: 31.2304, longitude: 121.4737 },
      { latitude: 31.2304, longitude: 121.4745 },
      { latitude: 31.231, longitude: 121.4745 },
      { latitude: 31.231, longitude: 121.4737 },
    ],
  },
  manifest,
  protocol: ({ signingKey }) => {
    const codec = (): ReturnType<typeof mavlinkCodec> =>
      mavlinkCodec(signingKey === undefined ? undefined : Buffer.from(signingKey, 'hex'));
    return { host: codec, device: codec };
  },
  open: (context) => peripheral(context),
  simulator: (of) => rover(of),
  decoder: (of) => {
    const picture = new Picture(of.fence);
    return (packet) =>
      packet?.system === of.system && packet.component === components.autopilot ? picture.take(packet, 0) : [];
  },
  show: ({ system, component, message }) => ({ system, component, [message.name]: message.fields }),
};

/** Three heartbeats of a base, which come once a second. */
const heartbeatWithinMs = 3_500;

/** What it is to tell, and how often, ms. */
const intervals: Readonly<Partial<Record<MessageName, number>>> = {
  HEARTBEAT: 1_000,
  GLOBAL_POSITION_INT: 200,
  LOCAL_POSITION_NED: 1_000,
  SYS_STATUS: 1_000,
  BATTERY_STATUS: 2_000,
  MISSION_CURRENT: 1_000,
};

/** What sends it on its way. */
const drives: ReadonlySet<string> = new Set(['goTo', 'startMission']);

/** What an agent that is unwell still does: nothing that moves. */
const harmless: ReadonlySet<string> = new Set(['hold', 'disarm', 'downloadMission', 'readParameter']);

function peripheral(context: Context): Peripheral {
  const { link, clock, log, options: of } = context;
  const exchange = new Exchange(context);
  const picture = new Picture(of.fence);
  const commander = new Commander(exchange, picture, of.ourSystem);
  let safety: Safety = unsafe;
  let isObserved = false;
  /** We sent it on its way in this connection, and it was not held since. */
  let isSentOff = false;

  const known = (more: Partial<Safety>): void => {
    safety = { ...safety, ...more };
    picture.waypointNumbers = safety.numbers;
  };
  const take = (packet: Packet): readonly Observation[] =>
    exchange.isFromAutopilot(packet) ? picture.take(packet, clock.monoMs()) : [];
  /** While nobody observes, what came is read here. */
  const catchUp = (): void => {
    if (isObserved) return;
    for (const packet of link.unread()) take(packet);
  };
  const heartbeat = async (signal: AbortSignal): Promise<Packet | undefined> => {
    const answer = await exchange.hear({ HEARTBEAT: () => true }, heartbeatWithinMs, signal);
    if (answer.is !== 'answered') return undefined;
    take(answer.message);
    return answer.message;
  };
  const consented = (outcome: Outcome, assumed: Parameters<Picture['assume']>[0]): Outcome => {
    if (outcome.status === 'acknowledged') picture.assume(assumed);
    return outcome;
  };
  const worked = (): Autopilot => picture.autopilot as Autopilot;
  const hold = async (signal: AbortSignal): Promise<Outcome> => {
    const outcome = await commander.long(commands.setMode, [1, ...worked().hold], signal);
    if (outcome.status === 'acknowledged') isSentOff = false;
    return outcome;
  };

  const deeds: Readonly<Record<string, (args: never, signal: AbortSignal) => Promise<Outcome>>> = {
    hold: async (_args, signal) => await hold(signal),
    disarm: async (_args, signal) => await commander.long(commands.arm, [0], signal),
    async arm(_args, signal) {
      const problem = armingProblem(safety, of, picture.position(clock.monoMs()));
      if (problem !== undefined) return refused(problem);
      return consented(await commander.long(commands.arm, [1], signal), { armed: true });
    },
    async goTo({ speed = of.speedLimit, ...place }: LatLon & { speed?: number }, signal) {
      const problem = tooFast(speed, of) ?? wayProblem(picture.position(clock.monoMs()), place, of);
      if (problem !== undefined) return refused(problem);
      // 1: it may change to guided mode; a heading that is no number is left to it
      return consented(await commander.int(commands.reposition, [speed, 1, 0, NaN], place, signal), { mode: 'guided' });
    },
    async setSpeed({ speed }: { speed: number }, signal) {
      const problem = tooFast(speed, of);
      // 1: over ground; -1: throttle as it is
      return problem === undefined
        ? await commander.long(commands.changeSpeed, [1, speed, -1], signal)
        : refused(problem);
    },
    async uploadMission(
      { waypoints, speed = of.speedLimit }: { waypoints: readonly Waypoint[]; speed?: number },
      signal,
    ) {
      const problem = tooFast(speed, of) ?? routeProblem(waypoints, of);
      if (problem !== undefined) return refused(problem);
      if (picture.mode === 'mission' && picture.isArmed) return refused('A mission is being driven: hold first.');
      const items = missionItems(waypoints, speed, worked().hasHomeItem ? waypoints[0] : undefined);
      known({ mission: 'unknown', refusal: 'The mission was not fetched since it was loaded.' });
      const outcome = await upload(exchange, missionTypes.mission, items, signal);
      if (outcome.status !== 'acknowledged') return outcome;
      known(await readMission(exchange, worked(), of, signal));
      return safety.mission === 'inside' ? outcome : refused(safety.refusal ?? 'It came back otherwise.');
    },
    async downloadMission(_args, signal) {
      const found = await readMission(exchange, worked(), of, signal);
      known(found);
      if (found.mission === 'unknown') return { status: 'unknown', reason: 'The autopilot did not give its mission.' };
      const { mission, refusal = '', waypoints } = found;
      return { status: 'acknowledged', result: { mission, refusal, waypoints } };
    },
    async clearMission(_args, signal) {
      const outcome = await clear(exchange, missionTypes.mission, signal);
      if (outcome.status === 'acknowledged')
        known({ ...unsafe, ...kept(safety), mission: 'none', refusal: 'The autopilot has no mission.' });
      return outcome;
    },
    async startMission(_args, signal) {
      const position = picture.position(clock.monoMs());
      const next = safety.waypoints[picture.nextWaypoint];
      const problem =
        safety.refusal ??
        failsafeProblem(safety) ??
        (next ? wayProblem(position, next, of) : 'The autopilot has no mission.');
      if (problem !== undefined) return refused(problem);
      return consented(await commander.long(commands.startMission, [], signal), { mode: 'mission' });
    },
    async readParameter({ name }: { name: string }, signal) {
      const value = await readParameter(exchange, worked(), name, signal);
      return value === undefined
        ? { status: 'unknown', reason: `The autopilot did not answer for ${name}; it may not know it.` }
        : { status: 'acknowledged', result: { [name]: value } };
    },
  };

  const checks: Readonly<Record<string, (signal: AbortSignal) => Promise<void>>> = {
    failsafe: async (signal) => known({ verdict: await readFailsafe(exchange, worked(), of, signal) }),
    fence: async (signal) =>
      known({ fence: safety.fence === 'differs' ? 'differs' : await readFence(exchange, of, signal) }),
    mission: async (signal) => known(await readMission(exchange, worked(), of, signal)),
  };
  const checked = (property: string): readonly Observation[] => {
    const value = { failsafe: safety.verdict.failsafe, fence: safety.fence, mission: safety.mission }[property];
    return value === undefined ? [] : [{ is: 'reading', property, value }];
  };

  return {
    async identify(signal) {
      const first = await heartbeat(signal);
      const fields = first && fieldsOf(first, 'HEARTBEAT');
      const autopilot = picture.autopilot;
      if (!fields || !autopilot) return undefined;
      if (fields.type !== vehicles.groundRover && fields.type !== vehicles.surfaceBoat) return undefined;
      const identity = await identityOf(exchange, autopilot, signal);
      // who speaks, and does not hear us, is none that we work
      if (!identity && !(await answersParameters(exchange, autopilot, signal))) return undefined;
      const verdict = await readFailsafe(exchange, autopilot, of, signal);
      known({ verdict });
      if (verdict.failsafe !== 'hold')
        log.warn('The autopilot does not hold when we fall silent; it is not armed.', { reasons: verdict.reasons });
      return identity ?? identityWithout(autopilot);
    },

    async configure(signal) {
      for (const [name, everyMs] of Object.entries(intervals)) {
        const { id } = layoutByName[name as MessageName];
        // what it does not tell is missing from the readings, and nothing else
        await commander.long(commands.setMessageInterval, [id, everyMs * 1_000], signal);
      }
      known({ fence: await loadFence({ exchange, commander, autopilot: worked(), log }, of, signal) });
      known(await readMission(exchange, worked(), of, signal));
      catchUp();
    },

    async *observe(signal) {
      isObserved = true;
      const stop = new AbortController();
      using _listening = onAbort(signal, () => stop.abort(signal.reason));
      const beating = beat(stop.signal);
      try {
        for (const property of Object.keys(checks)) yield* checked(property);
        yield* picture.known();
        for await (const packet of link.messages(signal)) {
          yield* take(packet);
          if (!isOfFailsafe(packet, picture.autopilot)) continue;
          // somebody set it: what was read before is not worth anything
          known({ verdict: unsafe.verdict });
          yield* checked('failsafe');
        }
      } finally {
        isObserved = false;
        stop.abort();
        await beating;
      }
    },

    async read(property, signal) {
      const check = checks[property];
      await (check ? check(signal) : heartbeat(signal));
      catchUp();
      if (check) return checked(property);
      const latest = picture.latest(property);
      return latest ? [latest] : [];
    },

    /** A base that drives by our word holds; what a person or another station drives is theirs. */
    async close(signal) {
      catchUp();
      if (!isSentOff || picture.isArmed !== true || picture.mode === 'manual') return;
      for (let held: Outcome | undefined; held?.status !== 'acknowledged' && !signal.aborted;)
        held = await hold(signal);
    },

    async perform(action, args, signal) {
      catchUp();
      // to disarm, nothing need be known
      if (!picture.autopilot && action !== 'disarm') return refused('The base was not identified.');
      if (!context.isHealthy() && !harmless.has(action)) return refused('The agent is unwell; nothing is moved.');
      // an autopilot that never heard a station does not miss one: it has to know us before it moves
      if (!harmless.has(action)) await exchange.beat(signal);
      if (drives.has(action)) isSentOff = true;
      const deed = deeds[action];
      return deed ? await deed(args as never, signal) : refused(`There is no ${action}.`);
    },
  };

  /** A line that broke is told by what reads it. */
  async function beat(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted && link.isOpen) {
        await exchange.beat(signal);
        await clock.sleep(beatMs / 2, signal);
      }
    } catch (thrown) {
      if (!signal.aborted) log.debug('No more heartbeats.', { error: thrown });
    }
  }
}

const isOfFailsafe = (packet: Packet, autopilot: Autopilot | undefined): boolean => {
  const name = fieldsOf(packet, 'PARAM_VALUE')?.param_id;
  return name !== undefined && (autopilot?.demands.some(({ names }) => names.includes(name)) ?? false);
};

const refused = (reason: string): Outcome => ({ status: 'rejected', reason });

const kept = ({ verdict, fence }: Safety): Pick<Safety, 'verdict' | 'fence'> => ({ verdict, fence });

const tooFast = (speed: number, { speedLimit }: Options): string | undefined =>
  speed > 0 && speed <= speedLimit ? undefined : `${speed} m/s is not within the limit of ${speedLimit} m/s.`;

const failsafeProblem = ({ verdict }: Safety): string | undefined =>
  verdict.failsafe === 'hold'
    ? undefined
    : `The autopilot does not hold when we fall silent: ${verdict.reasons.join('; ')}.`;

function armingProblem(safety: Safety, of: Options, position: LatLon | undefined): string | undefined {
  const problem = failsafeProblem(safety);
  if (problem !== undefined) return problem;
  if (safety.fence !== 'loaded')
    return safety.fence === 'none' ? 'No fence is configured.' : 'The fence is not in the autopilot.';
  return position ? wayProblem(position, position, of) : 'The position is not known.';
}

const identityWithout = ({ maker }: Autopilot): Identity => ({ model: `${maker} rover`, maker });

async function answersParameters(exchange: Exchange, autopilot: Autopilot, signal: AbortSignal): Promise<boolean> {
  const [name] = autopilot.demands[0]?.names ?? [];
  return name !== undefined && (await readParameter(exchange, autopilot, name, signal)) !== undefined;
}

/** @returns undefined where it does not say its version */
async function identityOf(
  exchange: Exchange,
  autopilot: Autopilot,
  signal: AbortSignal,
): Promise<Identity | undefined> {
  const params = { param2: 0, param3: 0, param4: 0, param5: 0, param6: 0, param7: 0, confirmation: 0 };
  const param1 = layoutByName.AUTOPILOT_VERSION.id;
  const answer = await exchange.request(
    {
      name: 'COMMAND_LONG',
      fields: { ...exchange.target, command: commands.requestMessage, param1, ...params },
    },
    { AUTOPILOT_VERSION: () => true },
    signal,
  );
  const fields = answer.is === 'answered' ? fieldsOf(answer.message, 'AUTOPILOT_VERSION') : undefined;
  if (!fields) return undefined;
  const [major, minor, patch] = [24, 16, 8].map((shift) => (fields.flight_sw_version >>> shift) & 0xff);
  return { ...identityWithout(autopilot), firmware: `${major}.${minor}.${patch}`, serial: fields.uid };
}
