/** What is drawn on the picture of an event. */
import type { Box } from '#agent/domain/box.ts';
import type { Event, Sighting } from '#agent/domain/event.ts';
import type { TrackedFrame } from '#agent/domain/track.ts';
import type { Annotation } from '#agent/vision/protocol.ts';
import type { CameraConfig } from '#config/schema.ts';

/** The objects that an event tells of; undefined when it is not about a picture. */
export function boxesOf(event: Event): readonly Sighting[] | undefined {
  switch (event.kind) {
    case 'zone':
    case 'line':
    case 'loitering':
      return [event.data.object];
    case 'intrusion':
      return event.data.objects;
    case 'crowd':
      return [];
    case 'camera':
    case 'dropped':
    case 'media':
    case 'upload':
    case 'reading':
    case 'peripheral':
      return undefined;
  }
}

/** Place of the event: its zone or line. */
export function placeOf(event: Event): string | undefined {
  switch (event.kind) {
    case 'zone':
    case 'intrusion':
    case 'loitering':
    case 'crowd':
      return event.data.zone;
    case 'line':
      return event.data.line;
    case 'camera':
    case 'dropped':
    case 'media':
    case 'upload':
    case 'reading':
    case 'peripheral':
      return undefined;
  }
}

export function annotationOf(event: Event, frame: TrackedFrame, camera: CameraConfig): Annotation {
  const named = new Set((boxesOf(event) ?? []).map(({ track }) => track));
  const place = placeOf(event);
  const boxes = frame.tracks
    .filter(({ coasting, id }) => !coasting || named.has(id))
    .map(({ id, label, box }): { box: Box; text: string; accent: boolean; track: number } => ({
      box,
      text: `${label} ${id}`,
      accent: named.has(id),
      track: id,
    }));
  return {
    title: [event.kind, place, camera.id].filter((text) => text !== undefined).join(' - '),
    boxes,
    zones: camera.zones.filter(({ id }) => id === place),
    lines: camera.lines.filter(({ id }) => id === place),
  };
}
