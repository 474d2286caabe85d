/** The first start on a bare box, as anybody and at any time; and the end, whatever hangs. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { askStatus, socketPath } from '#agent/console/socket.ts';
import { needsTestedProgram, testedProgram } from '#agent/testing/program.ts';
import type { Status } from '#agent/outpost.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsData, needsProgram, needsRoot } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';

const nobody = 65_534;

class Started implements AsyncDisposable {
  readonly #child: ChildProcess;
  log = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (chunk: Buffer) => (this.log += chunk.toString('utf8')));
  }

  /** @returns the exit code, or the signal that ended it */
  async ended(): Promise<number | string> {
    return await eventually(
      () => this.#child.exitCode ?? this.#child.signalCode ?? undefined,
      `the end of ${this.log}`,
    );
  }

  /** @param pid of the agent, where what was started is another program */
  async end(pid = this.#child.pid as number): Promise<number | string> {
    process.kill(pid, 'SIGTERM');
    return await this.ended();
  }

  async status(storage: string): Promise<Status> {
    return await eventually(async () => {
      if (this.#child.exitCode !== null) throw new Error(`It ended (${this.#child.exitCode}): ${this.log}`);
      return (await askStatus(socketPath(storage)).catch(() => undefined)) as Status | undefined;
    }, 'its status');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }
}

/** Where those without a home unpack and remember: everybody may write to it. */
let temporary: string;
beforeAll(() => {
  temporary = mkdtempSync(join(tmpdir(), 'outpost-tmp-'));
  chmodSync(temporary, 0o1777);
});
afterAll(() => {
  rmSync(temporary, { recursive: true, force: true });
  expect(existsSync(homeless), `${homeless} was made`).toBe(false);
});

const homeless = '/nonexistent';
let box: string;
beforeEach(() => {
  box = mkdtempSync(join(tmpdir(), 'outpost-box-'));
  chmodSync(box, 0o755);
});
afterEach(() => rmSync(box, { recursive: true, force: true }));

interface StartOptions {
  readonly cwd?: string;
  readonly user?: number;
  readonly before?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

function start({ cwd = box, user, before = [], environment = {}, args = [] }: StartOptions = {}): Started {
  const [program = '', ...rest] = [...before, ...testedProgram(), 'run', ...args];
  return new Started(
    spawn(program, rest, {
      cwd,
      ...(user === undefined ? {} : { uid: user, gid: user }),
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: homeless,
        TMPDIR: temporary,
        OUTPOST_MODELS: testData('models'),
        ...environment,
      },
    }),
  );
}

const checkConfig = (file: string): string => {
  const [program, ...leading] = testedProgram();
  return execFileSync(program, [...leading, 'check-config', file], { encoding: 'utf8' });
};

describeWith('the first start', [needsTestedProgram], () => {
  it('makes a key, folders and a commented configuration, says what is missing, and runs', async () => {
    const storage = join(box, 'outpost-data');
    let device: string;
    {
      await using agent = start();
      const status = await agent.status(storage);
      device = status.device;
      expect(device).toMatch(/^outpost-[0-9a-f]{8}$/);
      expect(status.kid).toMatch(/^[\w-]{43}$/);
      await eventually(() => agent.log.includes('Something is missing'), 'what is missing');
      expect(await agent.end()).toBe(0);
      expect(agent.log).toContain('This device has a key of its own now.');
      expect(agent.log).toContain('There was no configuration');
    }
    expect(statSync(join(storage, 'identity.pem')).mode & 0o777).toBe(0o600);
    expect(checkConfig(join(box, 'outpost.yaml'))).toContain('it can be used');
    const written = readFileSync(join(box, 'outpost.yaml'), 'utf8');
    await using again = start();
    expect((await again.status(storage)).device).toBe(device);
    expect(await again.end()).toBe(0);
    expect(again.log).not.toMatch(/key of its own now|There was no configuration/);
    expect(readFileSync(join(box, 'outpost.yaml'), 'utf8')).toBe(written);
  });

  it('a key that is damaged is said, and left; the agent runs', async () => {
    const storage = join(box, 'outpost-data');
    mkdirSync(storage);
    writeFileSync(join(storage, 'identity.pem'), 'damaged');
    await using agent = start();
    const { health } = await agent.status(storage);
    expect(health.conditions.map(({ code }) => code)).toContain('identity-unusable');
    expect(readFileSync(join(storage, 'identity.pem'), 'utf8')).toBe('damaged');
  });
});

describeWith('the first start as nobody', [needsTestedProgram, needsRoot], () => {
  it('in a folder of its own, without a home', async () => {
    chownSync(box, nobody, nobody);
    await using agent = start({ user: nobody });
    await agent.status(join(box, 'outpost-data'));
    expect(await agent.end()).toBe(0);
    expect(statSync(join(box, 'outpost-data', 'identity.pem')).uid).toBe(nobody);
  });

  it('in the folders that systemd made, where the configuration’s cannot be written', async () => {
    const [state, configuration] = [join(box, 'state'), join(box, 'configuration')];
    mkdirSync(state);
    mkdirSync(configuration);
    chownSync(state, nobody, nobody);
    const environment = { STATE_DIRECTORY: state, CONFIGURATION_DIRECTORY: configuration };
    await using agent = start({ user: nobody, cwd: '/', environment });
    await agent.status(state);
    expect(await agent.end()).toBe(0);
    expect(agent.log).toContain('none can be written here');
    expect(existsSync(join(configuration, 'outpost.yaml'))).toBe(false);
  });

  it('where nothing can be written, it says so and ends', async () => {
    await using agent = start({ user: nobody, cwd: box });
    expect(await agent.ended()).toBe(3);
    expect(agent.log).toMatch(/storage-unusable[^]*storage\.path/);
  });
});

describeWith('the first start at 1970', [needsTestedProgram, needsProgram('faketime')], () => {
  it('makes the key, runs, and ends', async () => {
    await using agent = start({ before: ['faketime', '--exclude-monotonic', '-f', '@1970-01-01 00:00:10'] });
    const status = await agent.status(join(box, 'outpost-data'));
    expect(status.startedAt).toMatch(/^1970-01-01/);
    await eventually(() => agent.log.includes('is before this program was made'), 'the clock among what is missing');
    expect(await agent.end(status.pid)).toBe(0);
  });
});

describeWith(
  'the end',
  [needsTestedProgram, needsData('video', 'vtest.avi'), needsData('models', 'yolox_nano_416.onnx')],
  () => {
    const config = (): string => {
      const file = join(box, 'load.yaml');
      const whole = [
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1],
      ];
      const cameras = ['one', 'two'].map((id) => ({
        id,
        url: testData('video', 'vtest.avi'),
        pace: 'fast',
        zones: [{ id: 'all', polygon: whole }],
      }));
      const rules = [{ kind: 'zone', id: 'in', zone: 'all' }];
      writeFileSync(file, JSON.stringify({ storage: { path: box }, cameras, rules }));
      return file;
    };
    /** Ends a busy agent after something was done to it. @returns how it ended, and what it had told */
    async function endBusy(
      hinder: (status: Status) => void,
    ): Promise<{ readonly how: number | string; readonly log: string }> {
      const environment = {
        OUTPOST_TEST_BLOCK: box,
        NODE_OPTIONS: `--require=${join(import.meta.dirname, 'block.mjs')}`,
      };
      await using agent = start({ args: ['--config', config()], environment });
      const busy = await eventually(async () => {
        const status = await agent.status(box);
        return status.events.made > 5 ? status : undefined;
      }, 'events');
      hinder(busy);
      return { how: await agent.end(), log: agent.log };
    }

    it('comes by itself under load, and all that was told is in the store', async () => {
      const { how, log } = await endBusy(() => undefined);
      expect(how).toBe(0);
      const ends = log.split('\n').find((line) => line.includes('Outpost ends.'));
      const { events, lost } = JSON.parse(ends ?? '{}') as { readonly events: number; readonly lost: number };
      expect(lost).toBe(0);
      const { openSqlite } = await import('#agent/core/sqlite.ts');
      const db = openSqlite(join(box, 'outbox.db'), { busyMs: 1_000, readonly: true });
      const stored = db.prepare('SELECT sum(last_seq) FROM lane').pluck().get();
      db.close();
      expect(stored).toBe(events);
    });

    it('comes when the child does not listen', async () => {
      const { how } = await endBusy(({ vision }) => process.kill(vision.pid as number, 'SIGSTOP'));
      expect(how).toBe(0);
    });

    it('comes when the writer hangs: the program ends as it is, and says so', async () => {
      const { how, log } = await endBusy(() => writeFileSync(join(box, 'block-writer'), ''));
      expect(how).toBe(70);
      expect(log).toContain('The end did not come in time');
    });
  },
);
