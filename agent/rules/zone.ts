/** Rules that tell of each object in a zone alone: entered and left, and loitering. */
import type { Event } from '#agent/domain/event.ts';
import type { LoiteringRule, ZoneRule } from '#config/rule.ts';
import type { Point } from '#agent/domain/box.ts';
import { emptyLedger, type Ledger, turn } from './incident.ts';
import { isFirm } from './latch.ts';
import { type Occupant, type Occupants, stepOccupants } from './occupants.ts';
import { type Outcome, type Reducer, type Scene, seenIn, type Site, stamp } from './reducer.ts';

export interface ZoneState {
  readonly ledger: Ledger;
  readonly occupants: Occupants;
}

const initial: ZoneState = { ledger: emptyLedger, occupants: {} };

export function zoneReducer(rule: ZoneRule | LoiteringRule, site: Site, polygon: readonly Point[]): Reducer<ZoneState> {
  const options = {
    labels: rule.labels,
    minScore: rule.minScore,
    polygon,
    latch: { onAfterMs: rule.enterAfter, offAfterMs: rule.leaveAfter, minFrames: rule.minFrames },
  };
  const stayMs = rule.kind === 'loitering' ? rule.after : 0;
  const holds = ({ latch, incident, enteredMs }: Occupant, atMs: number): boolean =>
    incident ? latch.on : isFirm(latch) && atMs - enteredMs >= stayMs;
  return {
    initial,
    step(state, scene) {
      const occupants = stepOccupants(state.occupants, scene, site.schedule(scene.wallMs), options);
      return tellEach(rule, site, { ...state, occupants }, scene, (occupant) => holds(occupant, scene.atMs));
    },
    finish(state, scene) {
      const { state: after, events } = tellEach(rule, site, state, scene, () => false);
      return { state: { ...after, occupants: {} }, events };
    },
  };
}

function tellEach(
  rule: ZoneRule | LoiteringRule,
  site: Site,
  state: ZoneState,
  scene: Scene,
  holds: (occupant: Occupant) => boolean,
): Outcome<ZoneState> {
  let { ledger } = state;
  const occupants: Record<string, Occupant> = {};
  const events: Event[] = [];
  for (const [key, occupant] of Object.entries(state.occupants)) {
    const { incident: before, ...rest } = occupant;
    const after = turn(before, holds(occupant), ledger, rule, site, scene.atMs);
    ledger = after.ledger;
    if (after.incident || rest.present || rest.latch.on) {
      occupants[key] = after.incident ? { ...rest, incident: after.incident } : rest;
    }
    if (after.told) {
      const { phase, id, durationMs } = after.told;
      const data = { ...seenIn(rule, scene, id), durationMs, zone: rule.zone, object: occupant.sighting };
      events.push({ kind: rule.kind, phase, ...stamp(rule, site, scene), data });
    }
  }
  return { state: { ledger, occupants }, events };
}
