/** Every fault a few times with each change; RELIABILITY.md has the full counts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '#agent/testing/require.ts';
import { chainFaults } from './chain-faults.ts';
import { held } from './fault.ts';
import { storeFaults } from './store-faults.ts';
import { week } from './week-fault.ts';

for (const fault of [...storeFaults, week, ...chainFaults]) {
  describeWith(`${fault.name}: ${fault.what}`, fault.needs, () => {
    it(`loses nothing undeclared in ${fault.small} runs`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'outpost-faults-'));
      try {
        const outcome = await fault.run(fault.small, folder);
        expect(outcome).toMatchObject({ lost: 0, wrong: 0, runs: fault.small });
        expect(outcome.acknowledged).toBeGreaterThan(0);
        expect(held(outcome)).toBe(true);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  });
}
