import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkProcessor, missingFeatures } from './processor.ts';

const phytium = 'processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid\nCPU part\t: 0x663\n';
const core2 = 'processor\t: 0\nflags\t\t: fpu sse sse2 ssse3 sse4_1 lm\nbugs\t\t:\n';

describe('what the libraries ask of the processor', () => {
  it.each([
    ['an FT-2000/4 has all', phytium, 'arm64', []],
    ['a Core 2 lacks what libvips takes for granted', core2, 'x64', ['sse4_2', 'popcnt']],
    ['a machine that does not tell is tried', 'processor\t: 0\n', 'x64', []],
    ['an unknown kind is tried', phytium, 'riscv64', []],
  ])('%s', (_what, cpuinfo, arch, missing) => {
    expect(missingFeatures(cpuinfo, arch)).toEqual(missing);
  });

  it('this machine has all, and so has one without /proc', () => {
    expect(() => checkProcessor()).not.toThrow();
    expect(() => checkProcessor('/nowhere/cpuinfo')).not.toThrow();
  });

  it('says what is missing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'outpost-processor-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'cpuinfo'), core2);
    expect(() => checkProcessor(join(folder, 'cpuinfo'), 'x64')).toThrow(/does not have sse4_2, popcnt/);
  });
});
