/** Files in MOTChallenge format, read whole. */
import { readFile, stat } from 'node:fs/promises';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import { type MotRow, parseMot } from './mot.ts';

/** A day of thirty people at 30 frames/s is less. */
const mostBytes = 256 * 1024 ** 2;

/** @throws OutpostError `mot-unreadable`, or `mot-garbled` with file and line */
export async function readMot(path: string): Promise<MotRow[]> {
  const text = await readText(path);
  const rows = parseMot(text, path);
  if (rows.length === 0) throw new OutpostError('mot-garbled', `${path} has no line`, { context: { file: path } });
  return rows;
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > mostBytes) throw new Error(`${size} bytes, more than ${mostBytes}`);
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new OutpostError('mot-unreadable', `Cannot read ${path}: ${messageOf(error)}`, {
      context: { file: path },
      cause: error,
    });
  }
}
