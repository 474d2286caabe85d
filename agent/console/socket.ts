/**
 * The local socket: what a technician on the device may ask, over HTTP on a Unix socket that only its user can open.
 *
 *   outpost status           --GET /status--.
 *   outpost status --metrics --GET /metrics-+-> {storage.path}/outpost.sock
 *   outpost peripherals resolve ID --POST---+
 *   outpost voice announce ID      --POST---'
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { http } from '#agent/core/http.ts';
import { untilAborted } from '#agent/core/abort.ts';
import { messageOf, OutpostError, systemCode } from '#agent/core/errors.ts';

export const socketPath = (storagePath: string): string => join(storagePath, 'outpost.sock');

/** A longer path does not fit into sockaddr_un (unix(7)): 108 bytes with the closing zero. */
const longestPath = 107;

export interface Answers {
  status(): unknown;
  /** Prometheus' text. */
  metrics(): Promise<string>;
  /** A human has looked at the peripheral. @returns false when nothing was in doubt */
  resolve(peripheral: string): Promise<boolean>;
  /** @param argument id of an announcement, or how long the mute is, ms */
  voice(order: VoiceOrder, argument: string | undefined): VoiceAnswer;
}

export const voiceOrders = ['announce', 'mute', 'unmute'] as const;
export type VoiceOrder = (typeof voiceOrders)[number];

export interface VoiceAnswer {
  readonly status: string;
  readonly reason?: string;
}

/** A service: answers until aborted. Each question asks anew. */
export async function serveStatus(path: string, answers: Answers, signal: AbortSignal): Promise<void> {
  if (Buffer.byteLength(path) > longestPath) {
    throw new OutpostError('socket-path-too-long', `The local socket’s path has ${Buffer.byteLength(path)} bytes.`);
  }
  await mkdir(dirname(path), { recursive: true });
  // What a killed agent left behind; a living one holds the store's lock, so this is nobody's.
  await rm(path, { force: true });
  const server = http().createServer((question, answer) => void reply(question, answer, answers));
  server.listen(path);
  await once(server, 'listening');
  await chmod(path, 0o600);
  await untilAborted(signal);
  server.closeAllConnections();
  server.close();
  await rm(path, { force: true });
}

async function reply(question: IncomingMessage, answer: ServerResponse, answers: Answers): Promise<void> {
  const found = question.method === 'GET' ? question.url : undefined;
  const voice =
    question.method === 'POST'
      ? /^\/voice\/(announce|mute|unmute)(?:\/([a-z0-9_-]+))?$/.exec(question.url ?? '')
      : undefined;
  const resolved =
    question.method === 'POST' ? /^\/peripherals\/([a-z0-9_-]+)\/resolve$/.exec(question.url ?? '')?.[1] : undefined;
  try {
    if (found === '/status') end(answer, 200, json, JSON.stringify(answers.status()));
    else if (found === '/metrics') end(answer, 200, prometheus, await answers.metrics());
    else if (voice) end(answer, 200, json, JSON.stringify(answers.voice(voice[1] as VoiceOrder, voice[2])));
    else if (resolved) end(answer, 200, json, JSON.stringify({ resolved: await answers.resolve(resolved) }));
    else
      end(
        answer,
        404,
        json,
        JSON.stringify({
          error: 'Ask GET /status, GET /metrics, POST /peripherals/ID/resolve or POST /voice/announce/ID.',
        }),
      );
  } catch (thrown) {
    // told to who asked, who can report it: the agent goes on
    end(answer, 500, json, JSON.stringify({ error: messageOf(thrown) }));
  }
}

const json = 'application/json';
const prometheus = 'text/plain; version=0.0.4; charset=utf-8';

const end = (answer: ServerResponse, code: number, type: string, text: string): void => {
  answer.writeHead(code, { 'content-type': type }).end(text);
};

/** @throws OutpostError `agent-not-running` when nobody listens there, `agent-silent` */
export const askStatus = async (path: string): Promise<unknown> => JSON.parse(await ask(path, '/status')) as unknown;

/** @returns Prometheus' text @throws OutpostError as `askStatus` */
export const askMetrics = async (path: string): Promise<string> => await ask(path, '/metrics');

/** @returns false when nothing was in doubt @throws OutpostError as `askStatus` */
export async function askResolve(path: string, peripheral: string): Promise<boolean> {
  const answer = JSON.parse(await ask(path, `/peripherals/${peripheral}/resolve`, 'POST')) as {
    readonly resolved: boolean;
  };
  return answer.resolved;
}

/** @throws OutpostError as `askStatus` */
export const askVoice = async (path: string, order: VoiceOrder, argument?: string): Promise<VoiceAnswer> =>
  JSON.parse(await ask(path, `/voice/${[order, argument].filter(Boolean).join('/')}`, 'POST')) as VoiceAnswer;

async function ask(socket: string, path: string, method = 'GET'): Promise<string> {
  return await new Promise((resolve, reject) => {
    const question = http().request({ socketPath: socket, path, method, timeout: 5_000 }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (answer.statusCode === 200) resolve(text);
        else reject(new OutpostError('agent-silent', `The agent has no answer to ${path}: ${text}`));
      });
      answer.on('error', reject);
    });
    question.on('timeout', () => question.destroy(new OutpostError('agent-silent')));
    question.on('error', (cause) => reject(explain(socket, cause)));
    question.end();
  });
}

function explain(path: string, cause: Error): OutpostError {
  if (cause instanceof OutpostError) return cause;
  const denied = systemCode(cause) === 'EACCES';
  return denied
    ? new OutpostError('agent-not-running', `The agent’s socket ${path} may not be opened by this user.`, {
        hint: 'Run the command as the user that runs the agent, or with sudo.',
        cause,
      })
    : new OutpostError('agent-not-running', `No agent answers at ${path}.`, { cause });
}
