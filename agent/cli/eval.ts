/** `outpost eval`: how good detections and tracks are, against the truth. */
import { Command } from 'commander';
import { evalDetectionCommand } from './eval-detection.ts';
import { evalTrackingCommand } from './eval-tracking.ts';

export const evalCommand = (): Command =>
  new Command('eval')
    .description('measure detections and tracks against the truth')
    .addCommand(evalDetectionCommand())
    .addCommand(evalTrackingCommand());
