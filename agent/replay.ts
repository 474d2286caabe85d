/**
 * A recording through detection, tracking and rules, every frame once and in order: twice the same bytes.
 *
 *   video -> inference child (every frame) -> rules -> Event[] -> caller
 */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Event } from '#agent/domain/event.ts';
import { compileRules, type RulesState } from '#agent/rules/rules.ts';
import { VisionChild } from '#agent/vision/child.ts';
import type { CameraChanged, Tracked } from '#agent/vision/protocol.ts';
import type { CameraConfig, Config } from '#config/schema.ts';
import type { Model } from '#models/model.ts';

export interface ReplayOptions {
  readonly config: Config;
  /** The camera whose zones, lines and rules apply; its url is what is replayed. */
  readonly camera: CameraConfig;
  readonly model: Model;
  /** Wall time of the first frame, ms since 1970: schedules are judged by it. */
  readonly startWallMs: number;
  /** Report what must be hidden in each frame. */
  readonly reportPeople: boolean;
  readonly clock: Clock;
}

export interface ReplayedFrame {
  readonly tracked: Tracked;
  readonly events: readonly Event[];
}

export interface ReplaySource {
  readonly width: number;
  readonly height: number;
  /** Frames a second; 25 when the video does not say. */
  readonly fps: number;
}

export interface Replay {
  /** Known once the first frame has been yielded. */
  readonly source: ReplaySource | undefined;
  frames(signal: AbortSignal): AsyncGenerator<ReplayedFrame, void, undefined>;
}

export function openReplay(options: ReplayOptions): Replay {
  let source: ReplaySource | undefined;
  return {
    get source() {
      return source;
    },
    async *frames(signal) {
      const { config, clock, model } = options;
      const { enabled, width, quality } = config.evidence;
      const camera: CameraConfig = { ...options.camera, enabled: true, loop: false, pace: 'fast' };
      const rules = compileRules(
        { cameras: [camera], rules: config.rules },
        { run: 'replay', timeZone: config.device.timeZone },
      );
      let state: RulesState = rules.initial();
      let last: Tracked | undefined;
      await using child = new VisionChild({
        clock,
        configure: {
          model,
          vision: config.vision,
          tracker: config.tracker,
          evidence: { enabled, width, quality },
          cameras: [camera],
          frames: 'every',
          reportPeople: options.reportPeople,
          logLevel: 'error',
        },
      });
      for await (const message of child.messages(signal)) {
        if (message.type === 'camera') {
          source = sourceOf(message) ?? source;
          if (message.state === 'down') throw cameraError(message);
        }
        if (message.type !== 'tracked') continue;
        const tracked = { ...message, wallMs: options.startWallMs + message.atMs };
        last = tracked;
        const step = rules.step(state, tracked);
        state = step.state;
        yield { tracked, events: step.events };
      }
      if (!last || signal.aborted) return;
      const end = rules.finish(state, { wallMs: last.wallMs, monoMs: last.atMs });
      yield { tracked: { ...last, tracks: [], people: [] }, events: end.events };
    },
  };
}

function sourceOf({ source, fps }: CameraChanged): ReplaySource | undefined {
  return source && { ...source, fps: fps ?? 25 };
}

function cameraError({ code, detail, hint }: CameraChanged): OutpostError {
  return new OutpostError(code ?? 'vision-ended', detail, hint === undefined ? {} : { hint });
}
