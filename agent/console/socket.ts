/**
 * The local socket: what a technician on the device may ask, over HTTP on a Unix socket that only its user can open.
 *
 *   outpost status --GET /status--> {storage.path}/outpost.sock
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer, request } from 'node:http';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { OutpostError, systemCode } from '#agent/core/errors.ts';

export const socketPath = (storagePath: string): string => join(storagePath, 'outpost.sock');

/** A longer path does not fit into sockaddr_un (unix(7)): 108 bytes with the closing zero. */
const longestPath = 107;

/** A service: answers until aborted. `status` is called for every question. */
export async function serveStatus(path: string, status: () => unknown, signal: AbortSignal): Promise<void> {
  if (Buffer.byteLength(path) > longestPath) {
    throw new OutpostError('socket-path-too-long', `The local socket’s path has ${Buffer.byteLength(path)} bytes.`);
  }
  await mkdir(dirname(path), { recursive: true });
  // What a killed agent left behind; a living one holds the store's lock, so this is nobody's.
  await rm(path, { force: true });
  const server = createServer((question, answer) => reply(question, answer, status));
  server.listen(path);
  await once(server, 'listening');
  await chmod(path, 0o600);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  server.closeAllConnections();
  server.close();
  await rm(path, { force: true });
}

function reply(question: IncomingMessage, answer: ServerResponse, status: () => unknown): void {
  const found = question.method === 'GET' && question.url === '/status';
  answer.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
  answer.end(JSON.stringify(found ? status() : { error: 'Ask GET /status.' }));
}

/** @throws OutpostError `agent-not-running` when nobody listens there */
export async function askStatus(path: string): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const question = request({ socketPath: path, path: '/status', timeout: 5_000 }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString('utf8'))));
      answer.on('error', reject);
    });
    question.on('timeout', () => question.destroy(new OutpostError('agent-silent')));
    question.on('error', (cause) => reject(explain(path, cause)));
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
