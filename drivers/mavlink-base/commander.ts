/** Commands with their acknowledgement, once each (mavlink.io/en/services/command.html). */
import type { Outcome } from '../driver.ts';
import { outcomeOf } from '../link.ts';
import type { Fields, Message } from './definitions.ts';
import { accepted, frames, inProgress, resultText } from './enums.ts';
import { type Exchange, fieldsOf } from './exchange.ts';
import type { LatLon } from './fence.ts';
import type { Picture } from './picture.ts';
import { toWire } from './route.ts';

/** Between two words of a command that is in progress, ms. */
const progressMs = 3_000;

/** After which a late acknowledgement does not come any more, ms. */
const lateMs = 300;

export class Commander {
  readonly #exchange: Exchange;
  readonly #picture: Picture;
  readonly #ourSystem: number;

  constructor(exchange: Exchange, picture: Picture, ourSystem: number) {
    this.#exchange = exchange;
    this.#picture = picture;
    this.#ourSystem = ourSystem;
  }

  /** @param params the first of seven; the rest are 0 */
  async long(command: number, params: readonly number[], signal: AbortSignal): Promise<Outcome> {
    const [param1 = 0, param2 = 0, param3 = 0, param4 = 0, param5 = 0, param6 = 0, param7 = 0] = params;
    const fields = { command, param1, param2, param3, param4, param5, param6, param7, confirmation: 0 };
    return await this.#ended(
      { name: 'COMMAND_LONG', fields: { ...this.#exchange.target, ...fields } },
      command,
      signal,
    );
  }

  /** To a place, in degrees that a float would blur. */
  async int(command: number, params: readonly number[], place: LatLon, signal: AbortSignal): Promise<Outcome> {
    const [param1 = 0, param2 = 0, param3 = 0, param4 = 0] = params;
    const fields = {
      frame: frames.globalRelative,
      command,
      current: 0,
      autocontinue: 0,
      param1,
      param2,
      param3,
      param4,
      x: toWire(place.latitude),
      y: toWire(place.longitude),
      z: 0,
    };
    return await this.#ended({ name: 'COMMAND_INT', fields: { ...this.#exchange.target, ...fields } }, command, signal);
  }

  async #ended(message: Message, command: number, signal: AbortSignal): Promise<Outcome> {
    // an older answer is none to this
    this.#picture.takeAck(command);
    const answers = {
      COMMAND_ACK: (ack: Fields<'COMMAND_ACK'>) =>
        ack.command === command && (ack.target_system === 0 || ack.target_system === this.#ourSystem),
    };
    const first = await this.#exchange.request(message, answers, signal);
    // an acknowledgement has no number: a late one is let pass here, so that it is none to the next
    if (first.is === 'timeout') await this.#exchange.hear(answers, lateMs, signal);
    if (first.is !== 'answered') return outcomeOf(first, () => true);
    let result: number | undefined = fieldsOf(first.message, 'COMMAND_ACK')?.result;
    // a command in progress says so again and again; the caller's deadline ends what never ends
    while (result === inProgress) {
      const next = await this.#exchange.hear(answers, progressMs, signal);
      result = next.is === 'answered' ? fieldsOf(next.message, 'COMMAND_ACK')?.result : this.#picture.takeAck(command);
    }
    if (result === accepted) return { status: 'acknowledged' };
    return result === undefined
      ? { status: 'unknown', reason: 'The autopilot began, and did not say how it ended.' }
      : { status: 'rejected', reason: resultText(result) };
  }
}
