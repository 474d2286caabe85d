/**
 * What the native libraries ask of the processor, looked up in the child before any of them is loaded: what they would
 * otherwise do is die of an illegal instruction.
 *
 *   /proc/cpuinfo --features--> nothing missing | OutpostError that names what is missing
 */
import { readFileSync } from 'node:fs';
import { OutpostError } from '#agent/core/errors.ts';

/**
 * As /proc/cpuinfo spells them. libvips is compiled for x86-64 from 2008 on (`-march=nehalem` of sharp-libvips), both
 * libraries for the first 64-bit ARM (ARMv8.0-A); what is newer, onnxruntime looks for itself.
 */
const required: Readonly<Record<string, readonly string[]>> = {
  x64: ['ssse3', 'sse4_1', 'sse4_2', 'popcnt'],
  arm64: ['fp', 'asimd'],
};

/**
 * @param cpuinfo the text of /proc/cpuinfo
 * @returns what it lacks; nothing where it does not tell
 */
export function missingFeatures(cpuinfo: string, arch: string): readonly string[] {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1];
  if (line === undefined) return [];
  const present = new Set(line.trim().split(/\s+/));
  return (required[arch] ?? []).filter((feature) => !present.has(feature));
}

/** @throws OutpostError `processor-unsuited` */
export function checkProcessor(path = '/proc/cpuinfo', arch: string = process.arch): void {
  let cpuinfo: string;
  try {
    cpuinfo = readFileSync(path, 'utf8');
  } catch {
    // Without /proc nothing is known: the attempt tells.
    return;
  }
  const missing = missingFeatures(cpuinfo, arch);
  if (missing.length === 0) return;
  throw new OutpostError('processor-unsuited', `This processor does not have ${missing.join(', ')}.`, {
    context: { missing },
  });
}

export function isProcessorSuited(): boolean {
  try {
    checkProcessor();
    return true;
  } catch {
    return false;
  }
}
