/** What a configuration says of files of this machine: looked at by `check-config`, where it is still early enough. */
import { access, constants } from 'node:fs/promises';
import { readRecording } from '#agent/voice/recordings.ts';
import type { Complaint } from '#config/issues.ts';
import type { Config } from '#config/schema.ts';
import { spokenLanguages } from '#config/voice.ts';

/** @returns recordings that are not there or cannot be played, and a program that cannot be run */
export async function fileComplaints({ voice, power }: Pick<Config, 'voice' | 'power'>): Promise<readonly Complaint[]> {
  const recordings = voice.announcements.flatMap(({ file }, index) =>
    spokenLanguages.map(async (language): Promise<readonly Complaint[]> => {
      const path = file[language];
      const read = path === undefined ? undefined : await readRecording(path);
      if (typeof read !== 'string') return [];
      const hint = 'ffmpeg -i IN -c:a pcm_s16le OUT.wav makes one; a relative path starts where the agent runs';
      return [{ path: ['voice', 'announcements', index, 'file', language], message: read, hint }];
    }),
  );
  const unsaid = voice.announcements.flatMap((each, index) =>
    each.with.length > 0 || voice.languages.some((language) => each.file[language] ?? each.text[language])
      ? []
      : [{ path: ['voice', 'announcements', index], message: `says nothing in ${voice.languages.join(' or ')}` }],
  );
  const [program] = power.command;
  const isMissing = program?.includes('/') === true && !(await isRunnable(program));
  return [
    ...(await Promise.all(recordings)).flat(),
    ...unsaid,
    ...(isMissing ? [{ path: ['power', 'command', 0], message: `${program} is no program that can be run` }] : []),
  ];
}

const isRunnable = async (path: string): Promise<boolean> =>
  await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
