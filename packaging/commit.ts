/** Which commit is built, and when it was made: the only moment that a build may know. */
import { runTool } from './registry.ts';

export interface Commit {
  /** Ends in `+changes` when files differ from it; `unknown` outside a repository. */
  readonly commit: string;
  /** ISO 8601, UTC. */
  readonly committed: string;
}

export async function commitOf(repository: string): Promise<Commit> {
  try {
    const [commit = '', seconds = ''] = (
      await runTool('git', ['-C', repository, 'log', '-1', '--format=%H %ct'])
    ).split(' ');
    const changes = await runTool('git', ['-C', repository, 'status', '--porcelain']);
    return {
      commit: changes === '' ? commit : `${commit}+changes`,
      committed: new Date(Number(seconds) * 1000).toISOString(),
    };
  } catch {
    return { commit: 'unknown', committed: new Date(0).toISOString() };
  }
}
