/**
 * What a camera's address means, told from its kind, its scheme and what lies on the disk.
 *
 *   CameraConfig.url --> Source: file | rtsp | http | folder | simulation
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CameraConfig } from '#config/schema.ts';
import { OutpostError, systemCode } from '#agent/core/errors.ts';
import { redactUrl } from '#agent/core/redact-url.ts';

export type Source =
  | { readonly kind: 'file' | 'folder'; readonly path: string }
  | { readonly kind: 'rtsp' | 'simulation'; readonly url: string }
  | { readonly kind: 'http'; readonly url: string; readonly answers: 'stream' | 'snapshot' | 'auto' };

/** @throws OutpostError `source-missing`, `source-unreadable`, `source-unsupported` */
export async function resolveSource({ url, kind }: Pick<CameraConfig, 'url' | 'kind'>): Promise<Source> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  switch (scheme) {
    case 'rtsp':
    case 'rtsps':
      requireKind(url, kind, ['stream']);
      return { kind: 'rtsp', url: requireUrl(url) };
    case 'http':
    case 'https':
      requireKind(url, kind, ['stream', 'snapshot']);
      return { kind: 'http', url: requireUrl(url), answers: kind === 'stream' || kind === 'snapshot' ? kind : 'auto' };
    case 'sim':
      return { kind: 'simulation', url };
    case 'file':
      return await resolvePath(fileURLToPath(requireUrl(url)), kind);
    case undefined:
      return await resolvePath(resolve(url), kind);
    default:
      throw new OutpostError('source-unsupported', `${redactUrl(url)} has a scheme that no camera here speaks.`);
  }
}

/** Live sources have a pace of their own and never end by themselves. */
export const isLive = (source: Source): boolean => source.kind === 'rtsp' || source.kind === 'http';

function requireUrl(url: string): string {
  if (URL.canParse(url) && (new URL(url).hostname !== '' || /^file:/i.test(url))) return url;
  throw new OutpostError('source-unsupported', `${redactUrl(url)} is not a URL.`);
}

function requireKind(url: string, kind: CameraConfig['kind'], allowed: readonly CameraConfig['kind'][]): void {
  if (kind === 'auto' || allowed.includes(kind)) return;
  throw new OutpostError('source-unsupported', `${redactUrl(url)} cannot be a ${kind}.`);
}

async function resolvePath(path: string, kind: CameraConfig['kind']): Promise<Source> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new OutpostError('source-missing', `${path} ${reason(systemCode(cause))}.`, { cause });
  });
  await access(path, constants.R_OK).catch((cause: unknown) => {
    throw new OutpostError('source-missing', `${path} ${reason(systemCode(cause))}.`, { cause });
  });
  const actual = found.isDirectory() ? 'folder' : 'file';
  if (!found.isDirectory() && !found.isFile()) {
    throw new OutpostError('source-unsupported', `${path} is neither a file nor a folder.`);
  }
  requireKind(path, kind, [actual]);
  if (actual === 'file' && found.size === 0) throw new OutpostError('source-unreadable', `${path} is empty.`);
  return { kind: actual, path };
}

const reason = (code: string | undefined): string =>
  code === 'EACCES' || code === 'EPERM' ? 'may not be read by this user' : 'is not there';
