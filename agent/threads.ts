/** The threads of this program by name: which room runs when main starts in a worker. */
import type { SalvageThreadData } from '#agent/outbox/salvage-thread.ts';
import type { OutboxThreadData } from '#agent/outbox/thread.ts';

export interface ThreadData {
  readonly entry: string;
}

export async function runThread(data: ThreadData): Promise<void> {
  switch (data.entry) {
    case 'detection': {
      const { runDetectionThread } = await import('#agent/vision/detection-thread.ts');
      await runDetectionThread();
      return;
    }
    case 'outbox': {
      const { runOutboxThread } = await import('#agent/outbox/thread.ts');
      runOutboxThread(data as unknown as OutboxThreadData);
      return;
    }
    case 'salvage': {
      const { runSalvageThread } = await import('#agent/outbox/salvage-thread.ts');
      runSalvageThread(data as unknown as SalvageThreadData);
      return;
    }
    default:
      throw new Error(`No thread is named ${data.entry}.`);
  }
}
