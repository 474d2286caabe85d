/**
 * Packets to one autopilot and from it: numbered, signed, with our heartbeat kept going in between.
 *
 *   message --number, sign--> link.request --from the autopilot alone--> matches --> answer
 */
import type { OpenContext } from '../driver.ts';
import type { Answer } from '../link.ts';
import type { Fields, Message, MessageName } from './definitions.ts';
import type { Packet, Signature } from './codec.ts';
import { autopilots, components, modeFlags, vehicles } from './enums.ts';
import type { Options } from './manifest.ts';

type Context = OpenContext<Options, Packet, Packet>;

/** Twice a second: the shortest failsafe of a rover acts after one second and a half of silence. */
export const beatMs = 500;
const epochMs = Date.UTC(2015, 0, 1);
const most48Bits = 2 ** 48 - 1;

export class Exchange {
  readonly #context: Context;
  #sequence = 0;
  #signedAt = 0;
  #beatAtMs = -Infinity;
  #isBeating = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Addresses for the fields of a message. */
  get target(): { readonly target_system: number; readonly target_component: number } {
    return { target_system: this.#context.options.system, target_component: components.autopilot };
  }

  isFromAutopilot({ system, component }: Packet): boolean {
    return system === this.#context.options.system && component === components.autopilot;
  }

  /** @throws as Link.send */
  async send(message: Message, signal: AbortSignal): Promise<void> {
    await this.#context.link.send(this.#packet(message), signal);
  }

  /** Asks once; heartbeats go before it, so that no waiting for an answer starves them. */
  async request<N extends MessageName>(
    message: Message,
    answers: Answers<N>,
    signal: AbortSignal,
    answerMs?: number,
  ): Promise<Answer<Packet>> {
    if (this.#isBeating) await this.beat(signal);
    return await this.#context.link.request(
      this.#packet(message),
      { matches: (packet) => this.#isAnswer(packet, answers), ...(answerMs === undefined ? {} : { answerMs }) },
      signal,
    );
  }

  /** Waits in slices, since nobody else speaks meanwhile, and our heartbeat has to. */
  async hear<N extends MessageName>(
    answers: Answers<N>,
    withinMs: number,
    signal: AbortSignal,
  ): Promise<Answer<Packet>> {
    const { link, clock } = this.#context;
    const matches = (packet: Packet): boolean => this.#isAnswer(packet, answers);
    const endsAtMs = clock.monoMs() + withinMs;
    for (;;) {
      if (this.#isBeating) await this.beat(signal);
      const leftMs = endsAtMs - clock.monoMs();
      const answer = await link.hear({ matches, answerMs: Math.max(1, Math.min(leftMs, beatMs)) }, signal);
      if (answer.is !== 'timeout' || leftMs <= beatMs) return answer;
    }
  }

  /**
   * Our heartbeat, when it is due; none while the agent is unwell: then the autopilot has to miss it, and hold.
   * @throws as Link.send
   */
  async beat(signal: AbortSignal): Promise<void> {
    this.#isBeating = true;
    const { clock } = this.#context;
    if (!this.#context.isHealthy() || clock.monoMs() - this.#beatAtMs < beatMs) return;
    this.#beatAtMs = clock.monoMs();
    await this.send(heartbeat, signal);
  }

  #isAnswer<N extends MessageName>(packet: Packet, answers: Answers<N>): boolean {
    if (!this.isFromAutopilot(packet)) return false;
    const { name, fields } = packet.message;
    const judge = answers[name as N];
    return judge !== undefined && judge(fields as unknown as Fields<N>);
  }

  #packet(message: Message): Packet {
    const { options } = this.#context;
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) & 0xff;
    const signature = options.signingKey === undefined ? {} : { signature: this.#signature() };
    return { sequence, system: options.ourSystem, component: components.missionPlanner, message, ...signature };
  }

  /** Later than the one before, also when the wall clock was set back. */
  #signature(): Signature {
    const now = Math.floor((this.#context.clock.wallMs() - epochMs) * 100);
    this.#signedAt = Math.min(most48Bits, Math.max(this.#signedAt + 1, now));
    return { link: this.#context.options.signingLink, time: this.#signedAt };
  }
}

/** Which messages are an answer, and whether this one is. */
export type Answers<N extends MessageName> = { readonly [K in N]: (fields: Fields<K>) => boolean };

/** What came, with its fields typed; undefined when it is another message. */
export const fieldsOf = <N extends MessageName>({ message }: Packet, name: N): Fields<N> | undefined =>
  message.name === name ? (message.fields as unknown as Fields<N>) : undefined;

const heartbeat: Message = {
  name: 'HEARTBEAT',
  fields: {
    type: vehicles.gcs,
    autopilot: autopilots.invalid,
    base_mode: modeFlags.custom,
    custom_mode: 0,
    system_status: 4,
    mavlink_version: 3,
  },
};
