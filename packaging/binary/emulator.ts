/**
 * Runs the binary for ARM64 on this machine, with the processes that it starts: qemu knows nothing of those, so a library
 * that is loaded into each puts qemu before itself, and leaves programs of this machine (ffmpeg) alone.
 *
 *   qemu -cpu cortex-a57 -L sysroot outpost --execvp(itself)--> qemu … outpost
 *                                           --execvp(ffmpeg)--> ffmpeg
 */
import { realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../registry.ts';

const again = `#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int execvp(const char *file, char *const argv[]) {
  const char *program = getenv("EMULATED_PROGRAM");
  if (!program || strcmp(file, program) != 0) {
    unsetenv("LD_PRELOAD");
    return execvpe(file, argv, environ);
  }
  char *words[64] = {"qemu-aarch64-static", "-cpu", "cortex-a57", "-L", getenv("EMULATED_SYSROOT"), (char *)program};
  int count = 6;
  for (int index = 1; argv[index] && count < 63; index += 1) words[count++] = argv[index];
  return execvpe(words[0], words, environ);
}
`;

export interface Emulated {
  readonly command: string;
  readonly leading: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** @param folder for the library, which must be compiled first */
export async function emulate(program: string, sysroot: string, folder: string): Promise<Emulated> {
  const library = join(folder, 'again.so');
  writeFileSync(join(folder, 'again.c'), again);
  await runTool('aarch64-linux-gnu-gcc', ['-shared', '-fPIC', '-o', library, join(folder, 'again.c')]);
  const path = realpathSync(program);
  return {
    command: 'qemu-aarch64-static',
    leading: ['-cpu', 'cortex-a57', '-L', sysroot, path],
    environment: { LD_PRELOAD: library, EMULATED_PROGRAM: path, EMULATED_SYSROOT: sysroot },
  };
}
