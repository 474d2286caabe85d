/**
 * Many at once: a Schmitt trigger over the number of occupants, with a wait on the way up.
 *
 *   count >= atLeast --for `after`, never below endBelow--> crowd --below endBelow for leaveAfter--> over
 */
import type { Point } from '#agent/domain/box.ts';
import type { CrowdRule } from '#config/rule.ts';
import { emptyLedger, type Incident, type Ledger, turn } from './incident.ts';
import { isFirm, type Latch, openLatch, stepLatch } from './latch.ts';
import { type Occupants, stepOccupants } from './occupants.ts';
import { type Outcome, type Reducer, type Scene, seenIn, type Site, stamp } from './reducer.ts';

export interface CrowdState {
  readonly ledger: Ledger;
  readonly occupants: Occupants;
  readonly latch: Latch;
  readonly count: number;
  /** The most at once since the crowd began to form. */
  readonly peak: number;
  readonly incident?: Incident;
}

export function crowdReducer(rule: CrowdRule, site: Site, polygon: readonly Point[] | undefined): Reducer<CrowdState> {
  const options = {
    labels: rule.labels,
    minScore: rule.minScore,
    ...(polygon ? { polygon } : {}),
    latch: { onAfterMs: rule.enterAfter, offAfterMs: rule.leaveAfter, minFrames: rule.minFrames },
  };
  return {
    initial: { ledger: emptyLedger, occupants: {}, latch: openLatch, count: 0, peak: 0 },
    step(state, scene) {
      const occupants = stepOccupants(state.occupants, scene, site.schedule(scene.wallMs), options);
      const count = Object.values(occupants).filter(({ latch, present }) => latch.on && present).length;
      const latch = stepCrowd(state.latch, count, scene.atMs, rule);
      const forming = latch.on || latch.against > 0 || state.incident !== undefined;
      const peak = forming ? Math.max(state.peak, count) : 0;
      return tell(
        rule,
        site,
        { ...state, occupants, latch, count, peak },
        scene,
        state.incident ? latch.on : isFirm(latch),
      );
    },
    finish(state, scene) {
      const { state: after, events } = tell(rule, site, { ...state, occupants: {} }, scene, false);
      return { state: { ...after, latch: openLatch, count: 0, peak: 0 }, events };
    },
  };
}

/** Between the two thresholds nothing changes, not even the wait: one who is missed for a moment restarts nothing. */
function stepCrowd(latch: Latch, count: number, atMs: number, rule: CrowdRule): Latch {
  const endBelow = rule.endBelow ?? rule.atLeast - 1;
  const isBetween = count >= endBelow && count < rule.atLeast;
  if (isBetween && !latch.on) return latch;
  return stepLatch(latch, isBetween || count >= rule.atLeast, atMs, {
    onAfterMs: rule.after,
    offAfterMs: rule.leaveAfter,
    minFrames: rule.minFrames,
  });
}

function tell(rule: CrowdRule, site: Site, state: CrowdState, scene: Scene, holds: boolean): Outcome<CrowdState> {
  const { incident: before, ...rest } = state;
  const { ledger, incident, told } = turn(before, holds, state.ledger, rule, site, scene.atMs);
  const after = { ...rest, ledger, ...(incident ? { incident } : {}) };
  if (!told) return { state: after, events: [] };
  const { phase, id, durationMs } = told;
  const zone = rule.zone === undefined ? {} : { zone: rule.zone };
  const data = { ...seenIn(rule, scene, id), durationMs, ...zone, count: state.count, peak: state.peak };
  return { state: after, events: [{ kind: 'crowd', phase, ...stamp(rule, site, scene), data }] };
}
