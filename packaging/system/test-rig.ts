/** A bare Debian in a folder, made from the mirror that this machine's apt has, for tests that install. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { eventually } from '#agent/testing/eventually.ts';

export interface Ended {
  readonly code: number | string;
  /** stdout and stderr. */
  readonly text: string;
  readonly stdout: string;
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Of `deb` lines, as apt itself reads them. */
function aptMirror(): { readonly site: string; readonly suite: string } {
  const format = '$(SITE) $(RELEASE) $(COMPONENT) $(CREATED_BY) $(ORIGIN)';
  const lines = execFileSync('apt-get', ['indextargets', '--format', format], { encoding: 'utf8' }).split('\n');
  const [site = '', suite = ''] = lines.find((line) => /^\S+ [a-z]+ main Packages/.test(line))?.split(' ') ?? [];
  return { site, suite };
}

export class BareDebian implements Disposable {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static make(): BareDebian {
    const root = mkdtempSync(join(tmpdir(), 'outpost-debian-'));
    chmodSync(root, 0o755);
    const { site, suite } = aptMirror();
    const variant = ['--variant=minbase', '--include=systemd,systemd-sysv,udev'];
    execFileSync('debootstrap', [...variant, suite, root, site], { stdio: ['ignore', 'ignore', 'inherit'] });
    return new BareDebian(root);
  }

  /** In a namespace of processes and mounts of its own, so that nothing outlives it. */
  async run(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const isolated = ['--mount', '--pid', '--fork', '--kill-child', `--mount-proc=${this.root}/proc`];
    return await ended(this.#spawn('unshare', [...isolated, 'chroot', this.root, ...command], environment));
  }

  async sh(script: string): Promise<Ended> {
    return await this.run(['sh', '-c', script]);
  }

  /** Without /proc, in a process group of its own, for those who end it. */
  start(command: readonly string[]): ChildProcess {
    return this.#spawn('chroot', [this.root, ...command], {}, true);
  }

  read(file: string): string {
    return readFileSync(join(this.root, file), 'utf8');
  }

  write(file: string, content: string | Uint8Array, mode = 0o644): void {
    mkdirSync(dirname(join(this.root, file)), { recursive: true });
    writeFileSync(join(this.root, file), content, { mode });
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #spawn(
    program: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    detached = false,
  ): ChildProcess {
    const env = { PATH: path, HOME: '/root', LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', ...environment };
    return spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env, detached });
  }
}

/** That Debian, booted: its own systemd as process 1, in a container without network. */
export class BootedDebian implements AsyncDisposable {
  readonly #nspawn: ChildProcess;
  readonly #over: Promise<Ended>;

  private constructor(nspawn: ChildProcess) {
    this.#nspawn = nspawn;
    this.#over = ended(nspawn);
  }

  /** Resolves once it has started all that starts at boot, whatever of it failed. */
  static async boot({ root }: BareDebian): Promise<BootedDebian> {
    const options = ['--boot', '--register=no', '--keep-unit', '--private-network', '--console=pipe'];
    const booted = new BootedDebian(
      spawn('systemd-nspawn', ['--directory', root, ...options], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: path, LC_ALL: 'C', SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
      }),
    );
    await eventually(
      async () => /running|degraded/.test((await booted.run('systemctl is-system-running')).stdout),
      'the boot',
    );
    return booted;
  }

  /** A command of the shell, inside. */
  async run(script: string): Promise<Ended> {
    const leader = this.#leader();
    if (leader === undefined) return { code: 'not yet', text: '', stdout: '' };
    const inside = ['-t', leader, '-m', '-u', '-i', '-n', '-p', '--', 'sh', '-c', script];
    return await ended(
      spawn('nsenter', inside, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: path, LC_ALL: 'C' } }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#nspawn.kill('SIGTERM');
    await this.#over;
  }

  #leader(): string | undefined {
    const { pid, exitCode } = this.#nspawn;
    if (exitCode !== null) throw new Error(`systemd-nspawn ended (${exitCode})`);
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0] || undefined;
  }
}

export async function ended(child: ChildProcess): Promise<Ended> {
  let [text, stdout] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
    stdout += chunk.toString('utf8');
  });
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  return await new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: error.message, text, stdout }));
    child.once('close', (code, signal) => resolve({ code: code ?? signal ?? '', text, stdout }));
  });
}

/** A package that only has a name, or one file too: it stands in for what a distribution has. */
export function smallDeb(
  folder: string,
  name: string,
  file?: { readonly path: string; readonly bytes: Uint8Array },
): string {
  const tree = join(folder, `tree-${name}`);
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  writeFileSync(
    join(tree, 'DEBIAN', 'control'),
    `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: tests <tests@example.org>\nDescription: stands in for ${name}\n`,
  );
  if (file) {
    mkdirSync(dirname(join(tree, file.path)), { recursive: true });
    writeFileSync(join(tree, file.path), file.bytes, { mode: 0o755 });
  }
  const deb = join(folder, `${name}_1_all.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z1', '--build', tree, deb], { stdio: 'ignore' });
  return deb;
}

/** rpm of this machine, on another root. */
export const rpmOn = (root: string, args: readonly string[]): ChildProcess =>
  spawn('rpm', ['--root', root, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: path, LC_ALL: 'C' } });
