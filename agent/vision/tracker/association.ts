/** One pass of association: which of these objects is which of these detections. */
import type { Detection } from '#agent/domain/detection.ts';
import { matchByWeight } from '#agent/core/assignment.ts';
import type { TrackedObject } from './tracked-object.ts';

/** @returns 0 (another thing) to 1 (surely the same) */
export type Affinity = (object: TrackedObject, detection: Detection) => number;

export interface Association {
  readonly pairs: readonly (readonly [TrackedObject, Detection])[];
  readonly objects: readonly TrackedObject[];
  readonly detections: readonly Detection[];
}

/**
 * Greatest sum of affinity above the gate, each object and detection once.
 *
 * @param gate least affinity of a pair; counted from there, so that no good pair is broken for two poor ones
 */
export function associate(
  objects: readonly TrackedObject[],
  detections: readonly Detection[],
  affinity: Affinity,
  gate: number,
): Association {
  if (objects.length === 0 || detections.length === 0) return { pairs: [], objects, detections };
  const weights = new Float64Array(objects.length * detections.length);
  objects.forEach((object, row) => {
    detections.forEach((detection, column) => {
      weights[row * detections.length + column] = affinity(object, detection) - gate;
    });
  });
  const columns = matchByWeight(weights, objects.length, detections.length);
  const taken = new Set(columns);
  return {
    pairs: objects.flatMap((object, row) => {
      const detection = detections[columns[row] ?? -1];
      return detection ? [[object, detection] as const] : [];
    }),
    objects: objects.filter((_object, row) => columns[row] === -1),
    detections: detections.filter((_detection, column) => !taken.has(column)),
  };
}
