/** One incident while anyone is in a zone, however many come and go. */
import type { Point } from '#agent/domain/box.ts';
import type { Sighting } from '#agent/domain/event.ts';
import type { IntrusionRule } from '#config/rule.ts';
import { emptyLedger, type Incident, type Ledger, turn } from './incident.ts';
import { isFirm } from './latch.ts';
import { type Occupants, stepOccupants } from './occupants.ts';
import { type Outcome, type Reducer, type Scene, seenIn, type Site, stamp } from './reducer.ts';

export interface IntrusionState {
  readonly ledger: Ledger;
  readonly occupants: Occupants;
  readonly incident?: Incident;
}

/** Objects in one event; a crowd in a zone is no reason for an event of a megabyte. */
const maxObjects = 32;

export function intrusionReducer(rule: IntrusionRule, site: Site, polygon: readonly Point[]): Reducer<IntrusionState> {
  const options = {
    labels: rule.labels,
    minScore: rule.minScore,
    polygon,
    latch: { onAfterMs: rule.enterAfter, offAfterMs: rule.leaveAfter, minFrames: rule.minFrames },
  };
  return {
    initial: { ledger: emptyLedger, occupants: {} },
    step(state, scene) {
      const occupants = stepOccupants(state.occupants, scene, site.schedule(scene.wallMs), options);
      const intruders = intrudersOf(occupants);
      // An end tells of those who were there last.
      const objects = intruders.length > 0 ? intruders : intrudersOf(state.occupants);
      const begins = Object.values(occupants).some(({ latch }) => isFirm(latch));
      const holds = state.incident ? intruders.length > 0 : begins;
      return tell(rule, site, { ...state, occupants }, scene, holds, objects);
    },
    finish: (state, scene) => tell(rule, site, { ...state, occupants: {} }, scene, false, intrudersOf(state.occupants)),
  };
}

const intrudersOf = (occupants: Occupants): Sighting[] =>
  Object.values(occupants)
    .filter(({ latch }) => latch.on)
    .slice(0, maxObjects)
    .map(({ sighting }) => sighting);

function tell(
  rule: IntrusionRule,
  site: Site,
  state: IntrusionState,
  scene: Scene,
  holds: boolean,
  objects: Sighting[],
): Outcome<IntrusionState> {
  const { ledger, incident, told } = turn(state.incident, holds, state.ledger, rule, site, scene.atMs);
  const after = { ledger, occupants: state.occupants, ...(incident ? { incident } : {}) };
  if (!told) return { state: after, events: [] };
  const { phase, id, durationMs } = told;
  const data = { ...seenIn(rule, scene, id), durationMs, zone: rule.zone, objects };
  return { state: after, events: [{ kind: 'intrusion', phase, ...stamp(rule, site, scene), data }] };
}
