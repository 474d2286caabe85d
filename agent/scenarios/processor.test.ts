/** A native library that dies of an illegal instruction, really: its opening is caught and executes one. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openBroker, type ReceivedEvent } from '#agent/cli/demo-broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith, needsData, needsProgram } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { AgentProcess } from './agent-process.ts';

/** Stands before libc's own `dlopen`. */
const trap = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
void *dlopen(const char *file, int flags) {
  void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
  if (file && strstr(file, "onnxruntime_binding")) {
#ifdef __x86_64__
    __asm__("ud2");
#else
    __asm__(".inst 0");
#endif
  }
  return next(file, flags);
}
`;

const needs = [
  needsTestedProgram,
  needsData('video', 'vtest.avi'),
  needsData('models', 'yolox_nano_416.onnx'),
  needsProgram('gcc'),
];

describeWith('on a processor that the inference runtime is not for', needs, () => {
  it('says so in its health, with what to do, and goes on storing and sending', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-trap-'));
    try {
      await writeFile(join(folder, 'trap.c'), trap);
      const library = join(folder, 'trap.so');
      execFileSync('gcc', ['-shared', '-fPIC', '-o', library, join(folder, 'trap.c'), '-ldl']);
      const received: ReceivedEvent[] = [];
      await using broker = await openBroker((event) => received.push(event));
      const config = {
        device: { id: 'robot-07' },
        cameras: [{ id: 'front', url: testData('video', 'vtest.avi') }],
        uplink: { url: broker.url },
      };
      await using agent = await AgentProcess.start(config, undefined, { LD_PRELOAD: library });
      const said = await agent.until(
        ({ health }) => health.conditions.some(({ code }) => code === 'processor-unsuited'),
        'the condition',
      );
      const condition = said.health.conditions.find(({ code }) => code === 'processor-unsuited');
      expect(condition).toMatchObject({ severity: 'critical', subject: 'agent' });
      expect(condition?.detail).toMatch(/illegal instruction.*SSE4\.2, or ARMv8\.0-A/);
      await eventually(() => received.some(({ type }) => type.startsWith('outpost.camera')), 'the camera’s event');
      const later = await agent.until(
        ({ outbox, uplink }) => uplink.connected && Object.values(outbox).every(({ depth }) => depth === 0),
        'an empty outbox',
      );
      expect(later.pid).toBe(said.pid);
      expect(await agent.end('SIGTERM')).toBe(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
