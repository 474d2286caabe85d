/** What events say of themselves, read from the text of a row that is damaged. */
import { isLane, type Lane } from '#agent/domain/lane.ts';
import { mostEvents } from './runs.ts';
import { seqOf } from './schema.ts';

export interface Name {
  readonly epoch: string;
  readonly lane: Lane;
  readonly seq: number;
}

/** Quotes inside a JSON string are escaped, so no text of an event can pass for it. */
const pattern = /,"epoch":"([0-9a-f]{32})","lane":"([a-z]+)","seq":"(\d+)",/g;

/** @param id of the row: numbers that it cannot hold are left out */
export function namesIn(json: Buffer, id: number): Name[] {
  const first = seqOf(id);
  return [...json.toString('latin1').matchAll(pattern)].flatMap(([, epoch = '', lane = '', text]) => {
    const seq = Number(text);
    return isLane(lane) && seq >= first && seq < first + mostEvents ? [{ epoch, lane, seq }] : [];
  });
}
