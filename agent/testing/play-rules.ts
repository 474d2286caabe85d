/** Plays a film through rules, as the agent and a replay do, and checks every event against the schema of its kind. */
import { type Event, eventData } from '#agent/domain/event.ts';
import type { TrackedFrame } from '#agent/domain/track.ts';
import { compileRules, type Moment, type RulesState } from '#agent/rules/rules.ts';
import { parseConfig } from '#config/load.ts';
import type { ConfigInput } from '#config/load.ts';

/** A camera whose right half is the zone `yard`, with the line `gate` down its middle. */
export const frontCamera = {
  id: 'front',
  url: 'sim://street?seed=1',
  zones: [
    {
      id: 'yard',
      polygon: [
        [0.5, 0] as [number, number],
        [1, 0] as [number, number],
        [1, 1] as [number, number],
        [0.5, 1] as [number, number],
      ],
    },
  ],
  lines: [{ id: 'gate', from: [0.5, 0] as [number, number], to: [0.5, 1] as [number, number] }],
};

export type RuleInput = NonNullable<ConfigInput['rules']>[number];

export interface Played {
  readonly events: readonly Event[];
  readonly state: RulesState;
}

export interface PlayOptions {
  readonly live?: boolean;
  readonly timeZone?: string;
  readonly cameras?: NonNullable<ConfigInput['cameras']>;
  /** How the end is told: at the last frame, later as a blind camera, or not at all. */
  readonly end?: 'finish' | 'quiet' | 'open';
  /** Looks at the state after each frame. */
  readonly watch?: (state: RulesState) => void;
}

export function play(rules: readonly RuleInput[], frames: readonly TrackedFrame[], options: PlayOptions = {}): Played {
  const { timeZone = 'UTC', end = 'finish', cameras = [frontCamera] } = options;
  const compiled = compileRules(parseConfig({ cameras, rules: [...rules] }), { run: 'replay', timeZone });
  const events: Event[] = [];
  let state = compiled.initial();
  for (const frame of frames) {
    const now: Moment = { wallMs: frame.wallMs + 40, monoMs: frame.atMs + 40 };
    const step = options.live === true ? compiled.step(state, frame, now) : compiled.step(state, frame);
    events.push(...step.events);
    state = step.state;
    options.watch?.(state);
  }
  const last = frames.at(-1);
  if (last && end !== 'open') {
    const later = end === 'quiet' ? 60_000 : 0;
    const now = { wallMs: last.wallMs + later, monoMs: last.atMs + later };
    const camerasSeen = [...new Set(frames.map(({ camera }) => camera))];
    const closing = end === 'finish' ? [compiled.finish(state, now)] : [];
    for (const step of closing) {
      events.push(...step.events);
      state = step.state;
    }
    for (const camera of end === 'quiet' ? camerasSeen : []) {
      const step = compiled.quiet(state, camera, now);
      events.push(...step.events);
      state = step.state;
    }
  }
  for (const { kind, data } of events) eventData[kind].parse(data);
  return { events, state };
}

/** Such as `zone.start@1.2`: what happened and when, in seconds. */
export const told = (events: readonly Event[]): string[] =>
  events.map(({ kind, phase, monoMs }) => `${phase ? `${kind}.${phase}` : kind}@${monoMs / 1000}`);
