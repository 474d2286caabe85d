/**
 * `replay --render`: what a replay recorded, as what a rendering draws on each frame.
 *
 *   ReplayedFrame[] --events--> incidents that are open in each frame --render-video--> a video to look at
 */
import { boxesOf, placeOf } from '#agent/annotation.ts';
import { findFfmpeg } from '#agent/capture/ffmpeg.ts';
import { type Event, incidentOf } from '#agent/domain/event.ts';
import type { ReplayedFrame, ReplaySource } from '#agent/replay.ts';
import type { CameraConfig } from '#config/schema.ts';
import { type RenderedFrame, type RenderedIncident, renderVideo } from './render-video.ts';

export interface RenderReplayRequest {
  /** Ends in .mp4 or .mkv. */
  readonly out: string;
  readonly frames: readonly ReplayedFrame[];
  readonly source: ReplaySource;
  readonly camera: CameraConfig;
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

/** What does not last is shown for this long. */
const flashMs = 1500;

/** @returns how many frames were written  @throws those of `findFfmpeg` and `renderVideo` */
export async function renderReplay({ frames, source, camera, ...rest }: RenderReplayRequest): Promise<number> {
  return await renderVideo({
    ...rest,
    camera,
    size: { width: source.width, height: source.height },
    fps: source.fps,
    frames: renderedFrames(frames),
    zones: camera.zones,
    lines: camera.lines,
    ffmpeg: await findFfmpeg(),
  });
}

interface Open {
  readonly incident: RenderedIncident;
  readonly untilMs: number;
}

/** @internal By frame number; what the replay tells after its last frame changes no picture. */
export function renderedFrames(frames: readonly ReplayedFrame[]): (RenderedFrame | undefined)[] {
  const rendered: (RenderedFrame | undefined)[] = [];
  const open = new Map<string, Open>();
  for (const { tracked, events } of frames) {
    for (const [key, { untilMs }] of open) if (untilMs <= tracked.atMs) open.delete(key);
    for (const event of events) follow(open, event, tracked.atMs);
    rendered[tracked.frame] ??= {
      tracks: tracked.tracks,
      people: tracked.people ?? [],
      incidents: [...open.values()].map(({ incident }) => incident),
    };
  }
  return Array.from(rendered);
}

function follow(open: Map<string, Open>, event: Event, atMs: number): void {
  const key = incidentOf(event);
  if (key === undefined) return;
  if (event.phase === 'end') {
    open.delete(key);
    return;
  }
  const incident = { text: textOf(event), tracks: (boxesOf(event) ?? []).map(({ track }) => track) };
  open.set(key, { incident, untilMs: event.phase === undefined ? atMs + flashMs : Number.POSITIVE_INFINITY });
}

function textOf(event: Event): string {
  const words = [event.kind, placeOf(event)];
  if (event.kind === 'line')
    words.push(event.data.direction, `${event.data.count.forward}/${event.data.count.backward}`);
  if (event.kind === 'crowd') words.push(String(event.data.count));
  return words.filter((word) => word !== undefined).join(' ');
}
