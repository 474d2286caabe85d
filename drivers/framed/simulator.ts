/** The double of a described device: it answers as the configuration says. */
import type { Simulator } from '../simulator.ts';
import type { Body } from './codec.ts';
import { fillTemplate, parseTemplate, readTemplate } from './fields.ts';
import type { Options } from './manifest.ts';

const tellEveryMs = 1_000;

export function framedSimulator({ requests, simulated, messages }: Options): Simulator<Body, Body> {
  const say = (on: string, args: Readonly<Record<string, unknown>>): readonly Body[] =>
    simulated
      .filter((each) => each.on === on)
      .map(({ body }) => ({ body: fillTemplate(parseTemplate(body) ?? [], args) }));
  return {
    intervalMs: tellEveryMs,
    tell: () => say('start', {}),
    receive({ body }) {
      for (const request of requests) {
        const args = readTemplate(parseTemplate(request.body) ?? [], body);
        if (args) return say(request.name, args);
      }
      return [];
    },
    provoke(event) {
      const message = messages.find((each) => each.event === event);
      if (!message) return [];
      const body = new Uint8Array(
        message.size ?? Math.max(1, ...message.match.map(({ at, hex }) => at + hex.replace(/\s+/g, '').length / 2)),
      );
      for (const { at, hex } of message.match) body.set(Buffer.from(hex.replace(/\s+/g, ''), 'hex'), at);
      return [{ body }];
    },
  };
}
