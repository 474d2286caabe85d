/** A head as the driver works it, whatever protocol it speaks. */
import type { Identity, Outcome } from '../driver.ts';
import type { Pose, Velocity } from './pose.ts';

export interface Head {
  /** Only reads. */
  identify(signal: AbortSignal): Promise<Identity | undefined>;
  configure(signal: AbortSignal): Promise<void>;
  /** @returns undefined when it does not answer */
  pose(signal: AbortSignal): Promise<Pose | undefined>;
  move(velocity: Velocity, signal: AbortSignal): Promise<Outcome>;
  stop(signal: AbortSignal): Promise<Outcome>;
  /** The words of a stop, and no waiting for what they do: when there is no time left. */
  halt(signal: AbortSignal): Promise<void>;
  goTo(pose: Pick<Pose, 'pan' | 'tilt'> & Partial<Pose>, signal: AbortSignal): Promise<Outcome>;
  preset(deed: 'go' | 'set' | 'clear', number: number, signal: AbortSignal): Promise<Outcome>;
}
