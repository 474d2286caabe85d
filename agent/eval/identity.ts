/**
 * ID measures: how much of each object's life one and the same track covers.
 *
 * E. Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", ECCV 2016
 * workshops, section 3: objects and tracks are paired once for the whole sequence, so that most boxes agree.
 */
import { matchByWeight } from '#agent/core/assignment.ts';
import type { Sequence } from './sequence.ts';

export interface IdentityMeasures {
  readonly idf1: number;
  readonly idPrecision: number;
  readonly idRecall: number;
  readonly idTruePositives: number;
}

export function identityMeasures(sequence: Sequence, leastOverlap = 0.5): IdentityMeasures {
  const { objectCount, trackCount, objectBoxes, trackBoxes } = sequence;
  const agreed = new Float64Array(objectCount * trackCount);
  for (const { objects, tracks, overlaps } of sequence.frames) {
    objects.forEach((object, o) => {
      tracks.forEach((track, t) => {
        const cell = object * trackCount + track;
        if ((overlaps[o * tracks.length + t] ?? 0) >= leastOverlap) agreed[cell] = (agreed[cell] ?? 0) + 1;
      });
    });
  }
  const pairs = matchByWeight(agreed, objectCount, trackCount);
  const idTruePositives = pairs.reduce(
    (sum, track, object) => sum + (track < 0 ? 0 : (agreed[object * trackCount + track] ?? 0)),
    0,
  );
  return {
    idf1: (2 * idTruePositives) / (objectBoxes + trackBoxes),
    idPrecision: idTruePositives / trackBoxes,
    idRecall: idTruePositives / objectBoxes,
    idTruePositives,
  };
}
