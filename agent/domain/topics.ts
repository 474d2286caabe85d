/**
 * Every topic of Outpost, built and parsed here alone. Golden vectors: `golden/topics.json`.
 *
 *   {root}/{device}/up/{lane | state | reported}          device -> world
 *   {root}/{device}/down/{ack | desired | cmd | answer}   world -> device
 */
import { idPattern } from '#agent/core/ids.ts';
import { type Lane, lanes } from './lane.ts';

/** Topics of ApsaraMQ end at 64 characters, those of AWS IoT Core at 7 slashes. */
export const topicLimits = { characters: 64, slashes: 6 } as const;

export const upNames = [...lanes, 'state', 'reported'] as const;
export const downNames = ['ack', 'desired', 'cmd', 'answer'] as const;
export type UpName = (typeof upNames)[number];
export type DownName = (typeof downNames)[number];

export type Topic =
  | { readonly device: string; readonly direction: 'up'; readonly name: UpName }
  | { readonly device: string; readonly direction: 'down'; readonly name: DownName };

const rootPattern = /^[a-z0-9_-]+(\/[a-z0-9_-]+)?$/;

/** @returns why the root cannot be used, or undefined */
export function checkRoot(root: string): string | undefined {
  if (root.length > 16) return 'must have at most 16 characters';
  return rootPattern.test(root) ? undefined : 'must be one or two levels of a-z, 0-9, _ and -';
}

export const upTopic = (root: string, device: string, name: UpName): string => `${root}/${device}/up/${name}`;

export const downTopic = (root: string, device: string, name: DownName): string => `${root}/${device}/down/${name}`;

/** What a consumer subscribes to: one lane, or all that goes up, of one device or of all. */
export const upFilter = (root: string, name: UpName | '+' = '+', device = '+'): string =>
  `${root}/${device}/up/${name}`;

/** What a consumer subscribes to, of what goes down to all devices. */
export const downFilter = (root: string, name: DownName): string => `${root}/+/down/${name}`;

/** @returns undefined for anything that is not exactly a topic of this root */
export function parseTopic(root: string, text: string): Topic | undefined {
  if (text.length > topicLimits.characters || !text.startsWith(`${root}/`)) return undefined;
  const levels = text.slice(root.length + 1).split('/');
  const [device, direction, name] = levels;
  if (levels.length !== 3 || device === undefined || name === undefined || !idPattern.test(device)) return undefined;
  if (direction === 'up' && isUpName(name)) return { device, direction, name };
  if (direction === 'down' && isDownName(name)) return { device, direction, name };
  return undefined;
}

/** The MQTT client of a device; its lane `alarm` has a connection of its own. */
export const clientId = (device: string, line: 'main' | 'alarm'): string =>
  line === 'alarm' ? `${device}-alarm` : device;

export const isUpName = (name: string): name is UpName => (upNames as readonly string[]).includes(name);
export const isDownName = (name: string): name is DownName => (downNames as readonly string[]).includes(name);
export const laneOf = (name: UpName): Lane | undefined => (name === 'state' || name === 'reported' ? undefined : name);
