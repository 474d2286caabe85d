/** `outpost --version`: which program this is, down to the hash of each native library and of the model inside. */
import { packaged } from '#agent/core/program.ts';
import { version } from '#agent/core/version.ts';

/** @returns a table for people, or one JSON object */
export function versionText(json: boolean): string {
  const about = packaged()?.about;
  if (!about) {
    const source = { version, commit: 'source', node: process.versions.node, arch: process.arch };
    return json ? JSON.stringify(source) : `outpost ${version} (from source)\nnode ${source.node}`;
  }
  if (json) return JSON.stringify(about);
  const { commit, committed, arch, node, content, parts } = about;
  return [
    `outpost ${about.version} (linux-${arch}, commit ${commit} of ${committed.slice(0, 10)})`,
    `node ${node}`,
    `content ${content}`,
    ...parts.flatMap(({ name, version: its, files }) => [
      `${name} ${its}`,
      ...files.map(({ path, sha256 }) => `  ${sha256}  ${path}`),
    ]),
  ].join('\n');
}
