/** A device that the configuration describes: polled, listened to, and told. */
import type { ReadingMember } from '#agent/domain/reading.ts';
import type { Driver, Observation, OpenContext, Peripheral } from '../driver.ts';
import { outcomeOf } from '../link.ts';
import { type Body, deviceCodec, hostCodec } from './codec.ts';
import { fieldValue, fillTemplate, parseTemplate } from './fields.ts';
import { example, manifest, type Message, options, type Options } from './manifest.ts';
import { framedSimulator } from './simulator.ts';

export const driver: Driver<Options, Body, Body> = {
  name: 'framed',
  options,
  example,
  manifest,
  protocol: (given) => ({ host: () => hostCodec(given), device: () => deviceCodec(given) }),
  open: peripheral,
  simulator: (given) => framedSimulator(given),
  decoder: (given) => (said) => (said === undefined ? [] : observationsOf(said, given)),
};

function peripheral({ link, options: given, clock }: OpenContext<Options, Body, Body>): Peripheral {
  const { title, polls } = given;
  const bodyOf = (request: string, args: Readonly<Record<string, unknown>>): Body => {
    const { body = '' } = given.requests.find(({ name }) => name === request) ?? {};
    return { body: fillTemplate(parseTemplate(body) ?? [], args) };
  };
  const ask = async (request: string, answer: string, signal: AbortSignal): Promise<readonly Observation[]> => {
    const said = await link.request(
      bodyOf(request, {}),
      { matches: (body) => messageOf(body, given)?.name === answer },
      signal,
    );
    return said.is === 'answered' ? observationsOf(said.message, given) : [];
  };

  return {
    async identify(signal) {
      const [poll] = polls;
      if (poll) return (await ask(poll.request, poll.answer, signal)).length > 0 ? { model: title } : undefined;
      const heard = await link.hear({ matches: (body) => messageOf(body, given) !== undefined }, signal);
      return heard.is === 'answered' ? { model: title } : undefined;
    },

    async *observe(signal) {
      if (polls.length === 0) {
        for await (const said of link.messages(signal)) yield* observationsOf(said, given);
        return;
      }
      const due = polls.map(() => 0);
      while (link.isOpen) {
        for (const [index, { request, answer, every }] of polls.entries()) {
          if ((due[index] ?? 0) > clock.monoMs()) continue;
          due[index] = clock.monoMs() + every;
          yield* await ask(request, answer, signal);
        }
        for (const said of link.unread()) yield* observationsOf(said, given);
        await clock.sleep(Math.max(1, Math.min(...due) - clock.monoMs()), signal);
      }
    },

    async read(property, signal) {
      const message = given.messages.find(({ fields }) => fields.some(({ name }) => name === property));
      const poll = polls.find(({ answer }) => answer === message?.name);
      return poll ? await ask(poll.request, poll.answer, signal) : [];
    },

    async perform(name, args, signal) {
      const action = given.actions.find((each) => each.name === name);
      if (!action) return { status: 'rejected', reason: 'No such action.' };
      const isAnswer = (said: Body): boolean => {
        const message = messageOf(said, given);
        return (
          message?.name === action.answer && action.same.every((word) => valuesOf(said, message)[word] === args[word])
        );
      };
      const answer = await link.request(bodyOf(action.request, args), { matches: isAnswer }, signal);
      return outcomeOf(answer, (said) => {
        const message = messageOf(said, given);
        const values = message ? valuesOf(said, message) : {};
        const refused = Object.entries(action.accept).find(([word, value]) => values[word] !== value);
        return refused === undefined || `The device says ${refused[0]} ${JSON.stringify(values[refused[0]])}.`;
      });
    },
  };
}

/** Which message a body is: the first that it matches. */
export function messageOf({ body }: Body, { messages }: Options): Message | undefined {
  return messages.find(
    ({ match, size }) =>
      (size === undefined || body.length === size) &&
      match.every(({ at, hex }) =>
        [...Buffer.from(hex.replace(/\s+/g, ''), 'hex')].every((byte, index) => body[at + index] === byte),
      ),
  );
}

function valuesOf({ body }: Body, { fields }: Message): Readonly<Record<string, ReadingMember>> {
  return Object.fromEntries(
    fields.flatMap((field) => {
      const value = fieldValue(field, body);
      return value === undefined ? [] : [[field.name, value]];
    }),
  );
}

function observationsOf(said: Body, given: Options): readonly Observation[] {
  const message = messageOf(said, given);
  if (!message) return [];
  const values = valuesOf(said, message);
  if (message.event !== undefined) return [{ is: 'event', event: message.event, data: values }];
  return Object.entries(values).map(([property, value]) => ({ is: 'reading', property, value }));
}
