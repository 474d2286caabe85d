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
  return [...saidIn(json)].filter(({ seq }) => seq >= first && seq < first + mostEvents);
}

/** What the first event of a row says: the number that the row should have. */
export const firstNameIn = (json: Buffer): Name | undefined => saidIn(json).next().value;

function* saidIn(json: Buffer): Generator<Name, undefined> {
  for (const [, epoch = '', lane = '', seq] of json.toString('latin1').matchAll(pattern)) {
    if (isLane(lane)) yield { epoch, lane, seq: Number(seq) };
  }
  return undefined;
}
