/**
 * A player that makes no sound: it writes down what it was given, and whether another one played at the same moment.
 *
 *   {folder}/log     start NAME | end NAME | killed NAME | overlap NAME
 *   {folder}/hold    while it is there, a player goes on
 */
import { chmod, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const script = (folder: string): string => `#!/bin/sh
folder='${folder}'
name=$(basename "$1" .wav)
mkdir "$folder/playing" 2>/dev/null || echo "overlap $name" >> "$folder/log"
trap 'echo "killed $name" >> "$folder/log"; rmdir "$folder/playing"; exit 143' TERM
cp "$1" "$folder/heard-$(date +%s%N).wav"
echo "start $name" >> "$folder/log"
while [ -e "$folder/hold" ]; do sleep 0.02; done
rmdir "$folder/playing"
echo "end $name" >> "$folder/log"
`;

export class StandInPlayer {
  readonly folder: string;
  readonly path: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.path = join(folder, 'player');
  }

  static async make(folder: string): Promise<StandInPlayer> {
    const player = new StandInPlayer(folder);
    await writeFile(player.path, script(folder));
    await chmod(player.path, 0o755);
    return player;
  }

  /** From now on each file is played until `release`. */
  async hold(): Promise<void> {
    await writeFile(join(this.folder, 'hold'), '');
  }

  async release(): Promise<void> {
    await rm(join(this.folder, 'hold'), { force: true });
  }

  async log(): Promise<readonly string[]> {
    const text = await readFile(join(this.folder, 'log'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  }

  /** A copy, so that two announcements have two names. */
  async recording(name: string, bytes: Uint8Array): Promise<string> {
    const path = join(this.folder, `${name}.wav`);
    await writeFile(`${path}.new`, bytes);
    await copyFile(`${path}.new`, path);
    return path;
  }
}
