/** The agent as a service: what it tells the service manager, and what becomes of it when a part of it hangs. */
import { beforeAll, expect, it } from 'vitest';
import { buildNotify } from '#packaging/notify/build.ts';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith, needsData, needsProgram } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import type { ConfigInput } from '#config/load.ts';
import { lives } from '../processes.ts';
import { SupervisedAgent } from './supervised.ts';

/** Short, so that silence is noticed soon; long enough for a machine that does other things besides. */
const watchdogMs = 3_000;
const bare: ConfigInput = { device: { id: 'robot-07' } };
const seeing: ConfigInput = { ...bare, cameras: [{ id: 'front', url: testData('video', 'vtest.avi') }] };

describeWith('the agent as a service', [needsTestedProgram, needsProgram('python3'), needsProgram('cc', 'gcc')], () => {
  beforeAll(() => {
    buildNotify(process.arch as 'x64' | 'arm64');
  });

  it('tells that it is ready once it answers, how it is, that it lives, and that it ends', async () => {
    await using agent = await SupervisedAgent.start({ config: bare, watchdogMs });
    await agent.until(() => agent.told('READY').length > 0, 'READY=1');
    expect(await agent.status()).toMatchObject({ device: 'robot-07' });
    expect(agent.of('told').some(({ lines }) => lines?.['STATUS'] === '0 of 0 cameras; no line')).toBe(true);
    // several periods without an end
    await agent.until(() => agent.told('WATCHDOG').length > 16, 'four periods of being fed');
    await agent.stop();
    expect(agent.told('STOPPING')).toHaveLength(1);
    expect(agent.of('told').every(({ isMain }) => isMain)).toBe(true);
    expect(agent.of('silent')).toEqual([]);
    expect(agent.of('exit').map(({ code }) => code)).toEqual([0]);
  });

  it('speaks to a name of the abstract namespace too', async () => {
    await using agent = await SupervisedAgent.start({ config: bare, watchdogMs, isAbstract: true });
    await agent.until(() => agent.told('READY').length > 0, 'READY=1');
  });

  it.each([
    ['writer', /A part does not answer: the watchdog is fed no more\.|"outbox writer"/],
    ['loop', /Outpost runs\./],
  ] as const)('is started anew when its %s hangs', async (part, logged) => {
    await using agent = await SupervisedAgent.start({ config: bare, watchdogMs });
    await agent.until(() => agent.told('WATCHDOG').length > 2, 'being fed');
    await agent.block(part);
    await agent.until(() => agent.of('silent').length > 0, 'the end for silence');
    await agent.unblock(part);
    await agent.until(() => agent.told('READY').length > 1, 'READY=1 of another process');
    const [first, second] = agent.told('READY');
    expect(second?.pid).not.toBe(first?.pid);
    expect(agent.of('exit')[0]?.code).toBe(-6);
    expect(agent.log).toMatch(logged);
    const fed = agent.told('WATCHDOG').length;
    await agent.until(() => agent.told('WATCHDOG').length > fed + 8, 'being fed again');
    expect(agent.of('silent')).toHaveLength(1);
  });
});

describeWith(
  'the agent as a service that sees',
  [
    needsTestedProgram,
    needsProgram('python3'),
    needsProgram('cc', 'gcc'),
    needsData('video', 'vtest.avi'),
    needsData('models', 'yolox_nano_416.onnx'),
  ],
  () => {
    it('ends a child that hangs, starts another, and is itself left alone', async () => {
      await using agent = await SupervisedAgent.start({ config: seeing, watchdogMs });
      await agent.until(() => agent.told('READY').length > 0, 'READY=1');
      const sees = (): boolean => agent.told('STATUS').at(-1)?.lines?.['STATUS']?.startsWith('1 of 1 cameras') ?? false;
      await agent.until(sees, 'a camera that is open');
      const stuck = (await agent.status())?.vision.pid as number;
      process.kill(stuck, 'SIGSTOP');
      await agent.until(() => !lives(stuck), 'the end of the child');
      const before = agent.told('STATUS').length;
      await agent.until(() => agent.told('STATUS').length > before && sees(), 'another child that sees');
      expect((await agent.status())?.vision.pid).not.toBe(stuck);
      expect(agent.log).toContain('vision-silent');
      expect(agent.of('silent')).toEqual([]);
      expect(agent.of('start')).toHaveLength(1);
    });
  },
);
