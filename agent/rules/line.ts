/**
 * Crossings of a line: the path of the foot point against the segment, counted once it is clear of the line.
 *
 *   side -1 | margin | line | margin | side +1
 *      walker goes --------net +1---------> beyond for minFrames: forward
 */
import { boxFoot, type Point } from '#agent/domain/box.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Track } from '#agent/domain/track.ts';
import type { LineRule } from '#config/rule.ts';
import { type Segment, signedDistance, stepAcross } from './geometry.ts';
import { emptyLedger, isResting, type Ledger, openNext, rest } from './incident.ts';
import { countsLabel, sightingOf, trackKey } from './occupants.ts';
import { type Reducer, type Scene, seenIn, type Site, stamp } from './reducer.ts';

interface Walker {
  readonly foot: Point;
  /** The side on which it was last clear of the line; 0: on neither yet. */
  readonly side: -1 | 0 | 1;
  /** Passages of the segment since then, left to right minus right to left: 0 for one that went round its end. */
  readonly net: number;
  /** Frames in a row in which it was clear of the line on the other side. */
  readonly beyond: number;
  readonly scored: boolean;
}

export interface LineState {
  readonly ledger: Ledger;
  readonly forward: number;
  readonly backward: number;
  readonly walkers: Readonly<Record<string, Walker>>;
}

type Direction = 'forward' | 'backward';

export function lineReducer(rule: LineRule, site: Site, segment: Segment): Reducer<LineState> {
  return {
    initial: { ledger: emptyLedger, forward: 0, backward: 0, walkers: {} },
    step(state, scene) {
      const walkers: Record<string, Walker> = {};
      const events: Event[] = [];
      const counts = { forward: state.forward, backward: state.backward };
      let { ledger } = state;
      for (const track of scene.tracks) {
        if (!countsLabel(rule.labels, track.label)) continue;
        const key = trackKey(track);
        const { walker, crossed } = stepWalker(state.walkers[key], track, rule, segment);
        if (walker) walkers[key] = walker;
        if (!crossed) continue;
        counts[crossed] += 1;
        if (!isTold(rule, site, ledger, crossed, scene)) continue;
        const next = openNext(ledger, rule, site);
        ledger = rest(next.ledger, rule.cooldown, scene.atMs);
        const data = {
          ...seenIn(rule, scene, next.id),
          line: rule.line,
          direction: crossed,
          count: { ...counts },
          object: sightingOf(track),
        };
        events.push({ kind: 'line', ...stamp(rule, site, scene), data });
      }
      return { state: { ledger, ...counts, walkers }, events };
    },
    finish: (state) => ({ state: { ...state, walkers: {} }, events: [] }),
  };
}

function stepWalker(
  before: Walker | undefined,
  track: Track,
  rule: LineRule,
  segment: Segment,
): { walker: Walker | undefined; crossed?: Direction } {
  // A coasting track keeps its place; its path goes on where it is seen again.
  if (track.coasting) return { walker: before };
  const foot = boxFoot(track.box);
  const distance = signedDistance(foot, segment);
  const clearSide = Math.abs(distance) <= rule.margin ? 0 : distance > 0 ? 1 : -1;
  const scored = before?.scored === true || track.score >= rule.minScore;
  if (!before || (before.side === 0 && clearSide !== 0)) {
    return { walker: { foot, side: clearSide, net: 0, beyond: 0, scored } };
  }
  const net = before.net + stepAcross(before.foot, foot, segment);
  const here = { ...before, foot, net, beyond: 0, scored };
  if (clearSide === 0) return { walker: here };
  if (clearSide === before.side) return { walker: { ...here, net: 0 } };
  const beyond = before.beyond + 1;
  if (beyond < rule.minFrames) return { walker: { ...here, beyond } };
  const walker = { ...here, side: clearSide, net: 0 } as const;
  if (net === 0 || !scored) return { walker };
  return { walker, crossed: clearSide === 1 ? 'forward' : 'backward' };
}

const isTold = (rule: LineRule, site: Site, ledger: Ledger, direction: Direction, scene: Scene): boolean =>
  (rule.direction === 'both' || rule.direction === direction) &&
  site.schedule(scene.wallMs) &&
  !isResting(ledger, scene.atMs);
