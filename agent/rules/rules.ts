/**
 * All rules of all cameras as one pure reducer: the same frames give the same events, byte for byte.
 *
 *   TrackedFrame --> its camera's reducers (zone, intrusion, line, loitering, crowd) --> Event[]
 */
import type { Event } from '#agent/domain/event.ts';
import type { TrackedFrame } from '#agent/domain/track.ts';
import type { ReadingRule } from '#config/rule.ts';
import type { CameraConfig, Config, RuleConfig } from '#config/schema.ts';
import { type CrowdState, crowdReducer } from './crowd.ts';
import { type IntrusionState, intrusionReducer } from './intrusion.ts';
import { type LineState, lineReducer } from './line.ts';
import type { Reducer, Scene, Site } from './reducer.ts';
import { compileSchedule } from './schedule.ts';
import { type ZoneState, zoneReducer } from './zone.ts';

export type RuleState = ZoneState | IntrusionState | LineState | CrowdState;

export interface CameraState {
  /** Of the newest frame. */
  readonly frame: number;
  readonly atMs: number | null;
  readonly wallMs: number;
  /** By id of the rule. */
  readonly rules: Readonly<Record<string, RuleState>>;
}

/** Plain data, bounded by the tracks that are there or were within `leaveAfter`. */
export interface RulesState {
  readonly cameras: Readonly<Record<string, CameraState>>;
}

export interface Moment {
  readonly wallMs: number;
  /** On the scale of the frames' `atMs`. */
  readonly monoMs: number;
}

export interface RulesStep {
  readonly state: RulesState;
  readonly events: readonly Event[];
}

export interface RulesOptions {
  /** Makes incident ids unique across starts of the agent; `replay` in replays. */
  readonly run: string;
  /** IANA name, or `system`: `config.device.timeZone`. */
  readonly timeZone: string;
  /** Without a frame for this long a camera is blind, and `quiet` ends its incidents. */
  readonly blindAfterMs?: number;
}

export interface Rules {
  initial(): RulesState;
  /** @param now the moment at which this runs, for the event's age; absent in replays */
  step(state: RulesState, frame: TrackedFrame, now?: Moment): RulesStep;
  /** No frame came for a while: to be asked every second or so. */
  quiet(state: RulesState, camera: string, now: Moment): RulesStep;
  /** The end of a replay, or of the agent: what is open ends now. */
  finish(state: RulesState, now: Moment): RulesStep;
}

interface Posted {
  readonly rule: string;
  readonly reducer: Reducer<RuleState>;
}

const defaultBlindAfterMs = 30_000;

/** @param config as the loader gives it: every camera, zone and line that a rule names is there */
export function compileRules(config: Pick<Config, 'cameras' | 'rules'>, options: RulesOptions): Rules {
  const posts = new Map(config.cameras.map((camera) => [camera.id, postsOf(camera, config.rules, options)]));
  const blindAfterMs = options.blindAfterMs ?? defaultBlindAfterMs;

  const finishCamera = (state: RulesState, camera: string, now: Moment): RulesStep => {
    const before = state.cameras[camera];
    if (!before || before.atMs === null) return { state, events: [] };
    const scene: Scene = { frame: before.frame, atMs: now.monoMs, wallMs: now.wallMs, tracks: [] };
    const { rules, events } = run(posts.get(camera) ?? [], before.rules, (reducer, rule) =>
      reducer.finish(rule, scene),
    );
    return { state: withCamera(state, camera, { ...before, atMs: null, rules }), events };
  };

  const step: Rules['step'] = (state, frame, now) => {
    const posted = posts.get(frame.camera);
    const before = state.cameras[frame.camera];
    if (!posted || !before) return { state, events: [] };
    // Time that runs backwards is another recording: nothing of the one before holds in it.
    if (before.atMs !== null && frame.atMs < before.atMs) {
      const ended = finishCamera(state, frame.camera, { monoMs: before.atMs, wallMs: before.wallMs });
      const begun = step(ended.state, frame, now);
      return { state: begun.state, events: [...ended.events, ...begun.events] };
    }
    const { rules, events } = run(posted, before.rules, (reducer, rule) => reducer.step(rule, sceneOf(frame, now)));
    const { atMs, wallMs } = frame;
    return { state: withCamera(state, frame.camera, { frame: frame.frame, atMs, wallMs, rules }), events };
  };

  return {
    initial: () => ({
      cameras: Object.fromEntries(
        [...posts].map(([camera, posted]) => [
          camera,
          {
            frame: 0,
            atMs: null,
            wallMs: 0,
            rules: Object.fromEntries(posted.map(({ rule, reducer }) => [rule, reducer.initial])),
          },
        ]),
      ),
    }),

    step,

    quiet(state, camera, now) {
      const atMs = state.cameras[camera]?.atMs ?? null;
      if (atMs === null || now.monoMs - atMs < blindAfterMs) return { state, events: [] };
      return finishCamera(state, camera, now);
    },

    finish(state, now) {
      let after: RulesStep = { state, events: [] };
      for (const camera of posts.keys()) {
        const { state: next, events } = finishCamera(after.state, camera, now);
        after = { state: next, events: [...after.events, ...events] };
      }
      return after;
    },
  };
}

function sceneOf(frame: TrackedFrame, now: Moment | undefined): Scene {
  const { frame: number, atMs, wallMs, tracks } = frame;
  const age = now ? { ageMs: Math.max(0, Math.round(now.monoMs - atMs)) } : {};
  return { frame: number, atMs, wallMs, tracks, ...age };
}

function run(
  posted: readonly Posted[],
  states: CameraState['rules'],
  advance: (reducer: Reducer<RuleState>, state: RuleState) => { state: RuleState; events: readonly Event[] },
): { rules: CameraState['rules']; events: Event[] } {
  const events: Event[] = [];
  const rules: Record<string, RuleState> = {};
  for (const { rule, reducer } of posted) {
    const outcome = advance(reducer, states[rule] ?? reducer.initial);
    rules[rule] = outcome.state;
    events.push(...outcome.events);
  }
  return { rules, events };
}

const withCamera = (state: RulesState, camera: string, after: CameraState): RulesState => ({
  cameras: { ...state.cameras, [camera]: after },
});

function postsOf(camera: CameraConfig, rules: readonly RuleConfig[], options: RulesOptions): Posted[] {
  return rules.flatMap((rule): Posted[] => {
    // what a rule says of readings is compiled apart: readings.ts
    if (rule.kind === 'reading') return [];
    if (!rule.enabled || (rule.cameras.length > 0 && !rule.cameras.includes(camera.id))) return [];
    const site = {
      camera: camera.id,
      run: options.run,
      schedule: compileSchedule(rule.schedule, options.timeZone),
    };
    const reducer = reducerOf(rule, site, camera);
    return reducer ? [{ rule: rule.id, reducer }] : [];
  });
}

/** @returns undefined when the camera lacks the rule's zone or line */
function reducerOf(
  rule: Exclude<RuleConfig, ReadingRule>,
  site: Site,
  camera: CameraConfig,
): Reducer<RuleState> | undefined {
  const polygonOf = (zone: string) => camera.zones.find(({ id }) => id === zone)?.polygon;
  switch (rule.kind) {
    case 'zone':
    case 'loitering': {
      const polygon = polygonOf(rule.zone);
      return polygon && zoneReducer(rule, site, polygon);
    }
    case 'intrusion': {
      const polygon = polygonOf(rule.zone);
      return polygon && intrusionReducer(rule, site, polygon);
    }
    case 'crowd': {
      if (rule.zone === undefined) return crowdReducer(rule, site, undefined);
      const polygon = polygonOf(rule.zone);
      return polygon && crowdReducer(rule, site, polygon);
    }
    case 'line': {
      const line = camera.lines.find(({ id }) => id === rule.line);
      return line && lineReducer(rule, site, line);
    }
  }
}
