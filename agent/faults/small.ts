/** A few runs of each fault as tests, with each change; RELIABILITY.md has the full counts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '#agent/testing/require.ts';
import { type Fault, held } from './fault.ts';

export function testFaults(faults: readonly Fault[]): void {
  for (const fault of faults) {
    describeWith(`${fault.name}: ${fault.what}`, fault.needs, () => {
      it(`loses nothing undeclared in ${fault.small} runs`, async () => {
        const folder = await mkdtemp(join(tmpdir(), 'outpost-faults-'));
        try {
          const outcome = await fault.run(fault.small, folder);
          expect(outcome, outcome.notes.join('\n')).toMatchObject({ lost: 0, wrong: 0, runs: fault.small });
          expect(outcome.acknowledged).toBeGreaterThan(0);
          expect(held(outcome), outcome.notes.join('\n')).toBe(true);
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      });
    });
  }
}
