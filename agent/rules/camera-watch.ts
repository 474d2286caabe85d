/** A camera without frames is an event: told once it lasts, ended when frames come again. */
import type { Event } from '#agent/domain/event.ts';

export interface CameraWatch {
  /** Incidents so far, for their ids. */
  readonly incidents: number;
  /** The one that is open. */
  readonly open?: { readonly id: string; readonly sinceMonoMs: number };
}

export interface CameraNews {
  readonly state: 'opening' | 'open' | 'down' | 'ended';
  readonly detail?: string;
}

export interface CameraWatchSite {
  readonly camera: string;
  readonly run: string;
}

export function stepCameraWatch(
  watch: CameraWatch,
  news: CameraNews,
  now: { readonly wallMs: number; readonly monoMs: number },
  site: CameraWatchSite,
): { watch: CameraWatch; events: readonly Event[] } {
  const stamp = { kind: 'camera', lane: 'event', subject: `camera/${site.camera}`, ...now } as const;
  if (news.state === 'down' && !watch.open) {
    const incidents = watch.incidents + 1;
    const id = `${site.camera}.no-frames.${site.run}.${incidents}`;
    const detail = news.detail === undefined ? {} : { detail: news.detail };
    const data = { incident: id, condition: 'no-frames', durationMs: 0, ...detail } as const;
    return {
      watch: { incidents, open: { id, sinceMonoMs: now.monoMs } },
      events: [{ ...stamp, phase: 'start', data }],
    };
  }
  if (news.state === 'open' && watch.open) {
    const { id, sinceMonoMs } = watch.open;
    const data = { incident: id, condition: 'no-frames', durationMs: Math.round(now.monoMs - sinceMonoMs) } as const;
    return { watch: { incidents: watch.incidents }, events: [{ ...stamp, phase: 'end', data }] };
  }
  return { watch, events: [] };
}
