/** A statement about one frame: this label, here, this sure. */
import type { Box } from './box.ts';

export interface Detection {
  /** A label of the model's manifest, such as `person`. */
  readonly label: string;
  /** 0..1 */
  readonly score: number;
  /** Normalised to the camera's own picture; may reach a little past its edges. */
  readonly box: Box;
}
