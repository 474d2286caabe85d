/**
 * Lists of items on the autopilot, waypoints and fences alike (mavlink.io/en/services/mission.html).
 *
 *   upload:   COUNT ->  <- REQUEST_INT 0   ITEM_INT 0 ->  …  <- ACK
 *   download: REQUEST_LIST ->  <- COUNT    REQUEST_INT 0 ->  <- ITEM_INT 0  …  ACK ->
 *
 * Every step may be said twice without harm, so that one which is not answered is; nothing moves by it.
 */
import type { Outcome } from '../driver.ts';
import { type Answer, outcomeOf } from '../link.ts';
import type { Packet } from './codec.ts';
import type { Fields, Message } from './definitions.ts';
import { accepted, missionResultText, type MissionType } from './enums.ts';
import { type Exchange, fieldsOf } from './exchange.ts';

/** Coordinates in 1e-7 degrees, as on the wire. */
export type Item = Pick<
  Fields<'MISSION_ITEM_INT'>,
  'frame' | 'command' | 'param1' | 'param2' | 'param3' | 'param4' | 'x' | 'y' | 'z'
>;

export type Downloaded =
  | { readonly is: 'items'; readonly items: readonly Item[] }
  | { readonly is: 'failed'; readonly outcome: Outcome };

const mostTries = 5;
/** Items that the autopilot asks for again and again, at most. */
const mostAsks = 5;
export const mostItems = 500;

export async function upload(
  exchange: Exchange,
  type: MissionType,
  items: readonly Item[],
  signal: AbortSignal,
): Promise<Outcome> {
  const { target } = exchange;
  const isOurs = ({ mission_type }: { readonly mission_type: number }): boolean => mission_type === type;
  let next = 0;
  // an accepting answer before the last item is a late one, to the upload before
  const answers = {
    MISSION_REQUEST_INT: (fields: Fields<'MISSION_REQUEST_INT'>) => isOurs(fields) && isNext(fields.seq),
    MISSION_REQUEST: (fields: Fields<'MISSION_REQUEST'>) => isOurs(fields) && isNext(fields.seq),
    MISSION_ACK: (fields: Fields<'MISSION_ACK'>) =>
      isOurs(fields) && (fields.type !== accepted || next === items.length),
  };
  const isNext = (seq: number): boolean => seq < items.length && (seq === next || seq === next - 1);
  let message: Message = {
    name: 'MISSION_COUNT',
    fields: { ...target, count: items.length, mission_type: type, opaque_id: 0 },
  };
  for (let asks = 0; asks <= items.length * mostAsks; asks += 1) {
    const answer = await repeated(async () => await exchange.request(message, answers, signal));
    if (answer.is !== 'answered') return outcomeOf(answer, () => true);
    const ack = fieldsOf(answer.message, 'MISSION_ACK');
    if (ack) return judged(ack.type);
    const { seq } =
      fieldsOf(answer.message, 'MISSION_REQUEST_INT') ?? (answer.message.message.fields as { seq: number });
    message = {
      name: 'MISSION_ITEM_INT',
      fields: { ...target, seq, current: 0, autocontinue: 1, mission_type: type, ...(items[seq] as Item) },
    };
    next = seq + 1;
  }
  return { status: 'rejected', reason: 'The autopilot asks for the same items again and again.' };
}

export async function download(exchange: Exchange, type: MissionType, signal: AbortSignal): Promise<Downloaded> {
  const { target } = exchange;
  const list: Message = { name: 'MISSION_REQUEST_LIST', fields: { ...target, mission_type: type } };
  const counted = await repeated(
    async () =>
      await exchange.request(
        list,
        {
          MISSION_COUNT: ({ mission_type }: Fields<'MISSION_COUNT'>) => mission_type === type,
          MISSION_ACK: (fields: Fields<'MISSION_ACK'>) => fields.mission_type === type && fields.type !== accepted,
        },
        signal,
      ),
  );
  if (counted.is !== 'answered') return { is: 'failed', outcome: outcomeOf(counted, () => true) };
  const count = fieldsOf(counted.message, 'MISSION_COUNT')?.count;
  if (count === undefined)
    return { is: 'failed', outcome: judged(fieldsOf(counted.message, 'MISSION_ACK')?.type ?? 1) };
  if (count > mostItems)
    return { is: 'failed', outcome: { status: 'rejected', reason: `${count} items are more than ${mostItems}.` } };
  const items: Item[] = [];
  for (let seq = 0; seq < count; seq += 1) {
    const request: Message = { name: 'MISSION_REQUEST_INT', fields: { ...target, seq, mission_type: type } };
    const answer = await repeated(
      async () =>
        await exchange.request(
          request,
          {
            MISSION_ITEM_INT: (fields: Fields<'MISSION_ITEM_INT'>) =>
              fields.mission_type === type && fields.seq === seq,
          },
          signal,
        ),
    );
    if (answer.is !== 'answered') return { is: 'failed', outcome: outcomeOf(answer, () => true) };
    items.push(itemOf(fieldsOf(answer.message, 'MISSION_ITEM_INT') as Fields<'MISSION_ITEM_INT'>));
  }
  await exchange.send(
    { name: 'MISSION_ACK', fields: { ...target, type: accepted, mission_type: type, opaque_id: 0 } },
    signal,
  );
  return { is: 'items', items };
}

export async function clear(exchange: Exchange, type: MissionType, signal: AbortSignal): Promise<Outcome> {
  const answer = await repeated(
    async () =>
      await exchange.request(
        { name: 'MISSION_CLEAR_ALL', fields: { ...exchange.target, mission_type: type } },
        { MISSION_ACK: ({ mission_type }: Fields<'MISSION_ACK'>) => mission_type === type },
        signal,
      ),
  );
  return answer.is === 'answered'
    ? judged(fieldsOf(answer.message, 'MISSION_ACK')?.type ?? 1)
    : outcomeOf(answer, () => true);
}

const judged = (result: number): Outcome =>
  result === accepted
    ? { status: 'acknowledged' }
    : { status: 'rejected', reason: `The autopilot refuses the items: ${missionResultText(result)}` };

/** Until it is answered, or asked often enough; a lost line is no reason to ask again. */
async function repeated(ask: () => Promise<Answer<Packet>>): Promise<Answer<Packet>> {
  let answer = await ask();
  for (let tries = 1; tries < mostTries && answer.is === 'timeout'; tries += 1) answer = await ask();
  return answer;
}

const itemOf = ({ frame, command, param1, param2, param3, param4, x, y, z }: Fields<'MISSION_ITEM_INT'>): Item => ({
  frame,
  command,
  param1,
  param2,
  param3,
  param4,
  x,
  y,
  z,
});

export const isSameList = (a: readonly Item[], b: readonly Item[]): boolean =>
  a.length === b.length &&
  a.every(({ command, param1, x, y }, at) => {
    const other = b[at];
    return other?.command === command && other.param1 === param1 && other.x === x && other.y === y;
  });
