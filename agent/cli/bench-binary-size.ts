/**
 * How large the binaries are, on disk and on the way: what xz leaves of them without the model, and the packages as they are.
 *
 *   outpost-linux-<arch> --without the models' assets--> xz -9 --> bytes
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BenchRow } from './bench-row.ts';
import { note } from './output.ts';

const million = 1e6;
const onDisk = { x64: 130, arm64: 120 } as const;
const packed = 45;
/** As Debian and rpm name them in their packages' names. */
const packages = { x64: /(_amd64\.deb|\.x86_64\.rpm)$/, arm64: /(_arm64\.deb|\.aarch64\.rpm)$/ } as const;

/** @returns nothing for an architecture of which there is no binary */
export async function sizeRows(folder: string): Promise<readonly BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const arch of ['x64', 'arm64'] as const) {
    const path = join(folder, `outpost-linux-${arch}`);
    if (!existsSync(path)) continue;
    const executable = await readFile(path);
    rows.push(sizeRow(`size of the binary for ${arch}`, executable.length, onDisk[arch]));
    note(`xz -9 of ${path}: a minute`);
    rows.push(sizeRow(`for ${arch}, xz -9, without the model`, await xzBytes(withoutModels(executable)), packed));
    for (const name of (await readdir(folder)).filter((entry) => packages[arch].test(entry)).toSorted()) {
      rows.push(sizeRow(name, (await stat(join(folder, name))).size, Number.NaN));
    }
  }
  return rows;
}

const sizeRow = (what: string, bytes: number, limit: number): BenchRow => ({
  what,
  ours: `${(bytes / million).toFixed(1)} MB`,
  against: Number.isNaN(limit) ? '-' : `${limit} MB`,
  ratio: bytes / million / limit,
  goal: Number.isNaN(limit) ? '-' : '<= 1',
  met: Number.isNaN(limit) || bytes / million <= limit,
});

const zstdMagic = 0xfd2fb528;

/**
 * An executable without its models: each is an asset, compressed for itself, so that what packs the rest finds nothing in it.
 * As Node writes assets (src/node_sea.cc): name, length in 8 bytes, bytes.
 * @throws RangeError when there is none: then the figure would not be what it says
 */
export function withoutModels(executable: Buffer): readonly Buffer[] {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = executable.indexOf('.onnx'); at >= 0; at = executable.indexOf('.onnx', at + 1)) {
    const start = at + '.onnx'.length + 8;
    if (start + 4 > executable.length || executable.readUInt32LE(start) !== zstdMagic) continue;
    parts.push(executable.subarray(from, start));
    from = start + Number(executable.readBigUInt64LE(start - 8));
  }
  if (parts.length === 0) throw new RangeError('There is no model in the binary.');
  return [...parts, executable.subarray(from)];
}

/** @throws Error when there is no xz on this machine */
async function xzBytes(parts: readonly Buffer[]): Promise<number> {
  const xz = spawn('xz', ['-9', '-T1', '--stdout'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const counting = (async () => {
    let bytes = 0;
    for await (const chunk of xz.stdout as AsyncIterable<Buffer>) bytes += chunk.length;
    return bytes;
  })();
  const [, , [code]] = (await Promise.all([once(xz, 'spawn'), pipeline(parts, xz.stdin), once(xz, 'exit')])) as [
    unknown,
    unknown,
    [number],
  ];
  if (code !== 0) throw new Error(`xz ended with ${code}.`);
  return await counting;
}
