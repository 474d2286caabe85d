/**
 * The packages, where they go: a bare Debian, as root. Installed, upgraded, interrupted, removed, purged; the rpm by
 * `rpm --root`; and the installer, for those who have neither.
 */
import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { version as current } from '#agent/core/version.ts';
import type { Finding } from '#agent/cli/doctor-finding.ts';
import { newKey } from '#agent/trust/keys.ts';
import { SupervisedAgent } from '#agent/scenarios/service/supervised.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsData, needsProgram, needsRoot } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { buildNotify } from '../notify/build.ts';
import { altered } from '../binary/rig.ts';
import { makeRelease } from '../release/make.ts';
import { signatureFile, signSums, sumsFile, writeSums } from '../release/sums.ts';
import { buildDeb } from './deb.ts';
import { buildRpm } from './rpm.ts';
import { BareDebian, BootedDebian, ended, rpmOn, smallDeb } from './test-rig.ts';
import type { Arch, Build } from './tool.ts';

const repository = resolve(import.meta.dirname, '../..');
const arch = process.arch as Arch;
const watchdogMs = 5_000;

describeWith(
  'the packages',
  [
    needsRoot,
    needsProgram('debootstrap'),
    needsProgram('rpmbuild', 'rpm'),
    needsProgram('rpmlint'),
    needsProgram('lintian'),
    needsProgram('python3'),
    needsProgram('systemd-nspawn', 'systemd-container'),
    needsProgram('cc', 'gcc'),
    needsProgram('aarch64-linux-gnu-gcc', 'gcc-aarch64-linux-gnu'),
    needsData('models', 'yolox_nano_416.onnx'),
    needsData('video', 'vtest.avi'),
  ],
  () => {
    let dist: string;
    let debian: BareDebian;
    let older: string;
    let newer: string;
    let rpm: string;
    const key = newKey();

    const build = (version: string): Build => ({
      version,
      arch,
      binary: join(dist, `outpost-linux-${arch}`),
      notify: buildNotify(arch),
      notices: join(dist, `outpost-linux-${arch}.notices.txt`),
      out: dist,
      work: mkdtempSync(join(dist, 'work-')),
      epoch: 1_790_000_000,
      isFast: true,
    });
    /** What makes the unit start at boot; it leads to a path of the Debian. */
    const wanted = (): string => join(debian.root, 'etc/systemd/system/multi-user.target.wants/outpost.service');
    const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
    /** Lays a file of ours into /srv of the Debian. */
    const bring = (file: string): string => {
      copyFileSync(file, join(debian.root, 'srv', basename(file)));
      return `/srv/${basename(file)}`;
    };
    /** A release as its maker signs it, with another program in it. */
    const layRelease = (folder: string, program: Uint8Array): void => {
      const files = new Map<string, Uint8Array>([
        [`outpost-linux-${arch}`, program],
        [`notify-linux-${arch}.node`, readFileSync(buildNotify(arch))],
      ]);
      const sums = writeSums(new Map([...files].map(([name, bytes]) => [name, hash('sha256', bytes)])));
      for (const [name, bytes] of files) debian.write(join(folder, name), bytes, 0o755);
      debian.write(join(folder, sumsFile), sums);
      debian.write(join(folder, signatureFile), signSums(sums, key.privatePem));
    };
    const install = async (...files: readonly string[]) => await debian.run(['dpkg', '-i', ...files]);
    const ok = (ran: { readonly code: number | string; readonly text: string }): void => {
      expect(ran, ran.text).toMatchObject({ code: 0 });
    };
    const modes = async (): Promise<string> =>
      (
        await debian.sh(
          'stat -c "%n %U:%G %a" /etc/outpost /etc/outpost/outpost.yaml /var/lib/outpost /var/cache/outpost',
        )
      ).stdout;
    /** The installed program as systemd would run it, but for its sandbox. */
    const service = (withProc = true): SupervisedAgent =>
      SupervisedAgent.command({
        folder: mkdtempSync(join(tmpdir(), 'outpost-service-')),
        address: `@outpost-packages-${process.pid}-${withProc}`,
        watchdogMs,
        command: [
          ...(withProc ? ['unshare', '--mount', `--mount-proc=${debian.root}/proc`] : []),
          'chroot',
          '--userspec=outpost:outpost',
          debian.root,
          '/usr/bin/outpost',
          'run',
        ],
        environment: {
          PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
          HOME: '/nonexistent',
          STATE_DIRECTORY: '/var/lib/outpost',
          CACHE_DIRECTORY: '/var/cache/outpost',
          CONFIGURATION_DIRECTORY: '/etc/outpost',
        },
      });

    beforeAll(async () => {
      dist = mkdtempSync(join(tmpdir(), 'outpost-dist-'));
      const weights = testData('models', 'yolox_nano_416.onnx');
      const args = [join(repository, 'packaging/build.ts'), arch, '--fast', '--out', dist, '--model-file', weights];
      execFileSync(process.execPath, args, { cwd: repository, stdio: 'ignore' });
      older = await buildDeb(build('0.0.9'));
      newer = await buildDeb(build('0.1.0'));
      rpm = await buildRpm(build('0.1.0'));
      debian = BareDebian.make();
    }, 600_000);
    afterAll(() => {
      debian?.[Symbol.dispose]();
      rmSync(dist, { recursive: true, force: true });
    });

    it('are the same bytes when they are built again', async () => {
      const first = [newer, rpm].map((file) => readFileSync(file));
      await buildDeb(build('0.1.0'));
      await buildRpm(build('0.1.0'));
      for (const [index, file] of [newer, rpm].entries())
        expect(readFileSync(file).equals(first[index] as Buffer)).toBe(true);
    });

    /** Around a stand-in: what the real program does in its package is the matter of binary/arm64.test.ts. */
    const buildForArm64 = (version: string): Build => {
      const from = mkdtempSync(join(dist, 'arm64-'));
      const binary = join(from, 'outpost-linux-arm64');
      writeFileSync(binary, 'stands in for the binary');
      return { ...build(version), arch: 'arm64', binary, notify: buildNotify('arm64'), out: from };
    };

    it('are made for arm64 here, too', async () => {
      const arm = buildForArm64('0.1.0');
      const [deb, other] = [await buildDeb(arm), await buildRpm(arm)];
      expect(execFileSync('dpkg-deb', ['-f', deb, 'Architecture'], { encoding: 'utf8' }).trim()).toBe('arm64');
      expect(execFileSync('rpm', ['-qp', '--qf', '%{ARCH}', other], { encoding: 'utf8' })).toBe('aarch64');
      // e_machine of an ELF file for AArch64 (elf(5))
      expect(readFileSync(arm.notify).readUInt16LE(18)).toBe(183);
    });

    it('hold what lintian and rpmlint ask, but for what is explained', () => {
      execFileSync('lintian', ['--fail-on', 'error', '--allow-root', newer], { stdio: 'pipe' });
      const rc = join(import.meta.dirname, 'outpost.rpmlintrc');
      execFileSync('rpmlint', ['--rpmlintrc', rc, rpm], { stdio: 'pipe' });
    });

    it('name what they need', async () => {
      const { code, text } = await install(bring(newer));
      expect(code).not.toBe(0);
      expect(text).toContain('outpost depends on ffmpeg');
      expect(text).toContain('fonts-noto-cjk');
    });

    it('installed: a user with its groups, folders, a configuration that is right, a service at boot', async () => {
      const ffmpeg = (createRequire(import.meta.url)('@ffmpeg-installer/ffmpeg') as { path: string }).path;
      const needs = [
        smallDeb(dist, 'ffmpeg', { path: 'usr/bin/ffmpeg', bytes: readFileSync(ffmpeg) }),
        smallDeb(dist, 'fonts-noto-cjk'),
      ];
      ok(await install(...needs.map(bring)));
      ok(await install(bring(older)));
      expect((await debian.sh('id -nG outpost')).stdout.trim().split(' ').toSorted()).toEqual([
        'audio',
        'dialout',
        'lp',
        'outpost',
        'video',
      ]);
      expect((await modes()).trim().split('\n')).toEqual([
        '/etc/outpost root:outpost 750',
        '/etc/outpost/outpost.yaml root:outpost 640',
        '/var/lib/outpost outpost:outpost 750',
        '/var/cache/outpost outpost:outpost 750',
      ]);
      ok(await debian.run(['outpost', 'check-config', '/etc/outpost/outpost.yaml']));
      expect(existsSync(join(debian.root, 'lib/udev/rules.d/70-outpost.rules'))).toBe(true);
      expect(isLink(wanted())).toBe(true);
    });

    it('the service gets ready, is fed, and ends; without /proc too', async () => {
      for (const withProc of [true, false]) {
        await using agent = service(withProc);
        await agent.until(() => agent.told('WATCHDOG').length > 2, `being fed, /proc ${withProc}`);
        await agent.stop();
        expect(agent.of('exit').map(({ code }) => code)).toEqual([0]);
        expect(agent.told('READY')).toHaveLength(1);
      }
      expect((await debian.sh('stat -c "%U %a" /var/lib/outpost/identity.pem')).stdout.trim()).toBe('outpost 600');
    });

    it('an upgrade keeps state, configuration, and what was disabled', async () => {
      debian.write('/etc/outpost/outpost.yaml', 'storage: { path: /var/lib/outpost }\ndevice: { id: mine }\n');
      debian.write('/var/lib/outpost/mark', 'kept');
      rmSync(wanted());
      const before = (await debian.sh('id outpost; stat -c %i /var/lib/outpost/outbox.db')).stdout;
      ok(await install(bring(newer)));
      expect((await debian.sh('id outpost; stat -c %i /var/lib/outpost/outbox.db')).stdout).toBe(before);
      expect(debian.read('/etc/outpost/outpost.yaml')).toContain('id: mine');
      expect(debian.read('/var/lib/outpost/mark')).toBe('kept');
      expect(isLink(wanted())).toBe(false);
      expect((await debian.run(['dpkg-query', '-W', '-f', '${Version} ${Status}', 'outpost'])).stdout).toBe(
        '0.1.0 install ok installed',
      );
    });

    it('cut off while it unpacks, it is mended by the same command', async () => {
      const cut = debian.start(['dpkg', '-i', bring(older)]);
      const over = ended(cut);
      await eventually(() => existsSync(join(debian.root, 'usr/bin/outpost.dpkg-new')), 'the unpacking');
      process.kill(-(cut.pid as number), 'SIGKILL');
      await over;
      ok(await install(bring(newer)));
      ok(await debian.sh('test -z "$(dpkg --audit)" && outpost --version'));
      expect(debian.read('/var/lib/outpost/mark')).toBe('kept');
    });

    it('cut off in the middle of its script, it is mended by dpkg --configure -a', async () => {
      ok(await debian.run(['dpkg', '--purge', 'outpost']));
      debian.write('/usr/local/sbin/useradd', '#!/bin/sh\ntouch /reached\nsleep 1000\n', 0o755);
      const cut = debian.start(['dpkg', '-i', bring(newer)]);
      const over = ended(cut);
      await eventually(() => existsSync(join(debian.root, 'reached')), 'the script');
      process.kill(-(cut.pid as number), 'SIGKILL');
      await over;
      rmSync(join(debian.root, 'usr/local/sbin/useradd'));
      ok(await debian.run(['dpkg', '--configure', '-a']));
      expect((await modes()).split('\n')[1]).toBe('/etc/outpost/outpost.yaml root:outpost 640');
    });

    it('removed, it leaves configuration and state; purged, nothing', async () => {
      debian.write('/var/lib/outpost/mark', 'kept');
      ok(await debian.run(['dpkg', '--remove', 'outpost']));
      expect(existsSync(join(debian.root, 'usr/bin/outpost'))).toBe(false);
      expect(debian.read('/var/lib/outpost/mark')).toBe('kept');
      expect(existsSync(join(debian.root, 'etc/outpost/outpost.yaml'))).toBe(true);
      ok(await debian.run(['dpkg', '--purge', 'outpost']));
      const left = await debian.sh(
        'find / -xdev -name "*outpost*" -not -path "/srv/*" -not -path "/proc/*"; getent passwd outpost',
      );
      expect(left.stdout.trim()).toBe('');
    });

    it('the rpm, too: installed, upgraded, removed', async () => {
      const packed = async (...args: readonly string[]) => await ended(rpmOn(debian.root, ['--nodeps', ...args]));
      ok(await packed('-i', rpm));
      expect((await modes()).split('\n')[1]).toBe('/etc/outpost/outpost.yaml root:outpost 640');
      ok(await debian.run(['outpost', 'check-config', '/etc/outpost/outpost.yaml']));
      debian.write('/etc/outpost/outpost.yaml', 'storage: { path: /var/lib/outpost }\ndevice: { id: mine }\n');
      debian.write('/var/lib/outpost/mark', 'kept');
      ok(await packed('-U', await buildRpm(build('0.1.1'))));
      expect(debian.read('/etc/outpost/outpost.yaml')).toContain('id: mine');
      ok(await packed('-e', 'outpost'));
      expect(existsSync(join(debian.root, 'usr/bin/outpost'))).toBe(false);
      expect(debian.read('/var/lib/outpost/mark')).toBe('kept');
      expect(debian.read('/etc/outpost/outpost.yaml.rpmsave')).toContain('id: mine');
      ok(await debian.sh('rm -rf /var/lib/outpost /var/cache/outpost /etc/outpost /var/lib/rpm; userdel outpost'));
    });

    it('for arm64 both, too: installed, upgraded, removed, purged', async () => {
      const forced = ['--force-architecture', '--force-depends'];
      const laid = async (version: string): Promise<void> =>
        ok(await debian.run(['dpkg', ...forced, '-i', bring(await buildDeb(buildForArm64(version)))]));
      await laid('0.0.9');
      expect((await modes()).split('\n')[1]).toBe('/etc/outpost/outpost.yaml root:outpost 640');
      debian.write('/etc/outpost/outpost.yaml', 'storage: { path: /var/lib/outpost }\ndevice: { id: mine }\n');
      debian.write('/var/lib/outpost/mark', 'kept');
      await laid('0.1.0');
      expect((await debian.run(['dpkg-query', '-W', '-f', '${Version} ${Architecture}', 'outpost:arm64'])).stdout).toBe(
        '0.1.0 arm64',
      );
      expect(debian.read('/etc/outpost/outpost.yaml')).toContain('id: mine');
      expect(debian.read('/usr/bin/outpost')).toBe('stands in for the binary');
      ok(await debian.run(['dpkg', '--remove', 'outpost:arm64']));
      expect(debian.read('/var/lib/outpost/mark')).toBe('kept');
      ok(await debian.run(['dpkg', '--purge', 'outpost:arm64']));
      expect(existsSync(join(debian.root, 'var/lib/outpost'))).toBe(false);

      const packed = async (...args: readonly string[]) =>
        await ended(rpmOn(debian.root, ['--nodeps', '--ignorearch', ...args]));
      ok(await packed('-i', await buildRpm(buildForArm64('0.1.0'))));
      debian.write('/etc/outpost/outpost.yaml', 'device: { id: mine }\n');
      ok(await packed('-U', await buildRpm(buildForArm64('0.1.1'))));
      expect(debian.read('/etc/outpost/outpost.yaml')).toContain('id: mine');
      ok(await ended(rpmOn(debian.root, ['--nodeps', '-e', 'outpost'])));
      expect(existsSync(join(debian.root, 'usr/bin/outpost'))).toBe(false);
      ok(await debian.sh('rm -rf /var/lib/outpost /var/cache/outpost /etc/outpost /var/lib/rpm; userdel outpost'));
    });

    it('from a signed release: installed, mended, removed, purged, in one command each', async () => {
      const archive = await makeRelease({ arch, from: dist, out: dist, keyPem: key.privatePem, epoch: 1_790_000_000 });
      const place = bring(archive);
      debian.write('/srv/outpost', readFileSync(join(dist, `outpost-linux-${arch}`)), 0o755);
      debian.write('/srv/release.pub', key.publicPem);
      debian.write('/srv/other.pub', newKey().publicPem);
      const from = ['/srv/outpost', 'install', '--from', place];
      const refused = await debian.run([...from, '--key', '/srv/other.pub']);
      expect(refused.text).toContain('[release-untrusted]');
      expect(existsSync(join(debian.root, 'usr/bin/outpost'))).toBe(false);
      const trusted = [...from, '--key', '/srv/release.pub'];
      expect((await debian.run([...trusted, '--dry-run'])).text).toContain('would make the user outpost');
      expect(existsSync(join(debian.root, 'usr/bin/outpost'))).toBe(false);
      ok(await debian.run(trusted));
      expect((await modes()).split('\n')[1]).toBe('/etc/outpost/outpost.yaml root:outpost 640');
      {
        await using agent = service();
        await agent.until(() => agent.told('WATCHDOG').length > 2, 'being fed');
      }
      debian.write('/etc/outpost/outpost.yaml', 'device: { id: mine }\n');
      rmSync(join(debian.root, 'usr/lib/outpost/notify.node'));
      expect((await debian.run(trusted)).stdout.trim()).toBe('write /usr/lib/outpost/notify.node');
      expect((await debian.run(trusted)).stdout.trim()).toBe('Nothing to do.');
      expect(debian.read('/etc/outpost/outpost.yaml')).toContain('id: mine');
      const program = readFileSync(join(dist, `outpost-linux-${arch}`));
      const zeros = current.replaceAll(/\d/g, '0');
      layRelease('/srv/old', altered(program, `"about":{"version":"${current}"`, `"about":{"version":"${zeros}"`));
      const back = ['outpost', 'install', '--from', '/srv/old', '--key', '/srv/release.pub'];
      const kept = await debian.run(back);
      expect(kept.text).toContain('[install-downgrade]');
      expect(kept.text).toContain(zeros);
      expect((await debian.run([...back, '--allow-downgrade'])).stdout.trim()).toBe('write /usr/bin/outpost');
      expect((await debian.run(['outpost', '--version'])).stdout).toContain(zeros);
      expect((await debian.run(trusted)).stdout.trim()).toBe('write /usr/bin/outpost');
      layRelease('/srv/other', readFileSync(buildNotify(arch === 'x64' ? 'arm64' : 'x64')));
      const foreign = await debian.run(['outpost', 'install', '--from', '/srv/other', '--key', '/srv/release.pub']);
      expect(foreign.text).toContain('[install-machine]');
      expect((await debian.run(trusted)).stdout.trim()).toBe('Nothing to do.');
      ok(await debian.run(['outpost', 'uninstall']));
      expect(existsSync(join(debian.root, 'etc/outpost/outpost.yaml'))).toBe(true);
      ok(await debian.run(['/srv/outpost', 'uninstall', '--purge']));
      const left = await debian.sh(
        'ls -d /etc/outpost /var/lib/outpost /usr/bin/outpost /usr/lib/outpost/notify.node; getent passwd outpost',
      );
      expect(left.stdout.trim()).toBe('');
    });

    it('the page for integrators: each of its commands, in order, from a bare board to a camera that is seen', async () => {
      const media = (name: string): string => join(debian.root, 'media', 'usb', name);
      mkdirSync(media(''), { recursive: true });
      copyFileSync(newer, media(basename(newer)));
      copyFileSync(testData('video', 'vtest.avi'), media('vtest.avi'));
      const bare = await debian.run([
        'env',
        'PATH=/usr/sbin:/sbin',
        '/srv/outpost',
        'doctor',
        '--no-cameras',
        '--json',
      ]);
      const missing = (JSON.parse(bare.stdout) as Finding[]).filter(({ verdict }) => verdict !== 'ok');
      expect(bare.code).toBe(1);
      expect(missing.map(({ check }) => check)).toEqual(
        expect.arrayContaining(['ffmpeg', 'font', 'user', 'udev', 'service', 'broker']) as string[],
      );
      expect(missing.filter(({ hint }) => !hint)).toEqual([]);

      const page = readFileSync(join(repository, 'packaging/docs/INTEGRATORS.md'), 'utf8');
      const commands = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)]
        .map(([, text = '']) => text)
        .join('')
        // apt takes the real ffmpeg and font for those that stood in. Nobody runs systemd here: the stand-in does what it would. The camera is a file.
        .replace(/^systemctl .*\n/gm, '')
        .replace(/rtsp:\S+/, '/media/usb/vtest.avi');
      const [prepare = '', ask = ''] = commands.split(/(?=^outpost status$)/m);
      const prepared = await debian.sh(`set -e\n${prepare}`);
      ok(prepared);
      expect(prepared.text).toContain('it can be used');
      expect(prepared.text).toMatch(/^ok {4}camera front +768x576/m);
      expect((await modes()).split('\n')[1]).toBe('/etc/outpost/outpost.yaml root:outpost 640');
      await using agent = service();
      await agent.until(
        () => (agent.told('STATUS').at(-1)?.lines?.['STATUS'] ?? '').startsWith('1 of 1 cameras'),
        'sight',
      );
      const status = await debian.sh(ask);
      ok(status);
      expect(status.text).toMatch(/^robot-07 .*outpost/);
      expect(status.text).toMatch(/^front +open/m);
    });

    it('booted, systemd starts it in its sandbox, ends it when it hangs, and starts it anew', async () => {
      debian.write('/etc/systemd/system/outpost.service.d/own.conf', '[Service]\nWatchdogSec=5\n');
      await using booted = await BootedDebian.boot(debian);
      const show = async (name: string): Promise<string> =>
        (await booted.run(`systemctl show outpost -p ${name} --value`)).stdout.trim();
      const sees = async (): Promise<boolean> => (await show('StatusText')).startsWith('1 of 1 cameras');
      await eventually(sees, 'a camera that is seen');
      expect(await show('ActiveState')).toBe('active');
      const main = await show('MainPID');
      const { stdout: confined } = await booted.run(`grep -hE "^(Seccomp|NoNewPrivs|CapBnd):" /proc/${main}/status`);
      expect(confined.replaceAll('\t', ' ')).toBe('CapBnd: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\n');
      ok(await booted.run('outpost status --json'));
      ok(await booted.run('outpost doctor --no-cameras | grep "^ok    service"'));

      await booted.run(`kill -STOP ${main}`);
      await eventually(async () => (await show('NRestarts')) === '1' && (await sees()), 'another start');
      expect(await show('MainPID')).not.toBe(main);
      const { stdout: journal } = await booted.run('journalctl -u outpost -o cat --no-pager');
      expect(journal).toContain("Failed with result 'watchdog'");
      ok(await booted.run('systemctl stop outpost'));
      expect(await show('Result')).toBe('success');
      const lines = journal.split('\n').filter((line) => line.startsWith('{'));
      expect(lines.length).toBeGreaterThan(2);
      for (const line of lines) expect(JSON.parse(line)).toHaveProperty('msg');
    });
  },
);
