/** `up/state` as a consumer reads it: here or not, and which numbers each lane of the device has given. */
import { ackLimits } from '#agent/domain/ack.ts';
import { isLane } from '#agent/domain/lane.ts';
import type { LaneKey } from './received.ts';

export interface ToldLane {
  readonly key: LaneKey;
  /** Lowest number that waits, or the next to come. */
  readonly first: number;
  /** Highest number that was given. */
  readonly last: number;
  /** How many wait. */
  readonly depth: number;
}

export interface Presence {
  readonly device: string;
  readonly online: boolean;
  readonly version: string | undefined;
  readonly epoch: string | undefined;
  readonly custody: string | undefined;
  /** JSON text of the whole message. */
  readonly state: string;
  readonly lanes: readonly ToldLane[];
}

type Json = Readonly<Record<string, unknown>>;
const largestStateBytes = 256 * 1024;

/** @returns why it is no presence */
export function parsePresence(device: string, payload: Buffer): Presence | string {
  if (payload.length > largestStateBytes) return `larger than ${largestStateBytes} bytes`;
  const message = parsed(payload);
  if (!isRecord(message) || typeof message['online'] !== 'boolean') return 'not a JSON object with `online`';
  if (message['device'] !== undefined && message['device'] !== device) return 'of another device';
  const state = JSON.stringify(message);
  if (/\\u(?:0000|d[89a-f])/.test(state)) return 'holds U+0000 or half a surrogate pair';
  const text = (name: string): string | undefined => {
    const value = message[name];
    return typeof value === 'string' ? value.slice(0, 200) : undefined;
  };
  return {
    device,
    online: message['online'],
    version: text('version'),
    epoch: text('epoch'),
    custody: text('custody'),
    state,
    lanes: lanesOf(device, message['epochs']),
  };
}

/** What cannot be read of the lanes is left out; the rest of the message still tells something. */
function lanesOf(device: string, epochs: unknown): ToldLane[] {
  if (!isRecord(epochs)) return [];
  return Object.entries(epochs)
    .slice(0, ackLimits.epochs)
    .flatMap(([epoch, byLane]) => {
      if (!/^[0-9a-f]{1,64}$/.test(epoch) || !isRecord(byLane)) return [];
      return Object.entries(byLane).flatMap(([lane, value]) => {
        if (!isLane(lane) || !isRecord(value)) return [];
        const [first, last, depth] = [number(value['first']), number(value['last']), number(value['depth'] ?? 0)];
        if (first === undefined || last === undefined || first > last + 1) return [];
        return [{ key: { device, epoch, lane }, first, last, depth: depth ?? 0 }];
      });
    });
}

function number(value: unknown): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const read = Number(value);
  return Number.isSafeInteger(read) && read >= 0 && read <= ackLimits.seq + 1 ? read : undefined;
}

function parsed(payload: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
