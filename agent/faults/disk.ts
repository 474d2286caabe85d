/** Disks of the test's own: a tmpfs of a size, an ext4 image on a loop device. Whatever is mounted is unmounted. */
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, truncate, writeFile } from 'node:fs/promises';
import { existsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { eventually } from '#agent/testing/eventually.ts';
import type { Requirement } from '#agent/testing/require.ts';

export function run(program: string, ...parameters: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  throw new Error(`${program} ${parameters.join(' ')}: ${stderr || String(error ?? status)}`);
}

export const needsMount: Requirement = () =>
  spawnSync('sh', [
    '-c',
    'd=$(mktemp -d) && mount -t tmpfs -o size=64k tmpfs "$d" && umount "$d"; r=$?; rmdir "$d"; exit $r',
  ]).status === 0
    ? undefined
    : 'the right to mount (root)';

export class Disk implements AsyncDisposable {
  readonly path: string;
  readonly image: string | undefined;
  #isMounted = true;

  private constructor(path: string, image?: string) {
    this.path = path;
    this.image = image;
  }

  static async tmpfs(path: string, size: string): Promise<Disk> {
    await mkdir(path, { recursive: true });
    run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path);
    return new Disk(path);
  }

  /** A new ext4 file system, which turns read-only when it finds an error. */
  static async ext4(path: string, image: string, mebibytes: number): Promise<Disk> {
    await writeFile(image, '');
    await truncate(image, mebibytes * 1024 ** 2);
    run('mkfs.ext4', '-q', '-F', '-e', 'remount-ro', image);
    return await Disk.mounted(path, image);
  }

  static async mounted(path: string, image: string): Promise<Disk> {
    await mkdir(path, { recursive: true });
    run('mount', '-o', 'loop', image, path);
    return new Disk(path, image);
  }

  /**
   * From now on nothing more reaches the disk, as when the power is cut: not even ext4's own journal is flushed.
   *
   * @returns the last moment before it, in ns of CLOCK_MONOTONIC. A process that lives on may be told of a flush as done
   *   that was under way when the kernel dropped it; without power it would not have lived to hear it.
   */
  cutPower(): bigint {
    // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, as xfstests does it
    const script = `use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
      open(my $d, "<", $ARGV[0]) or die $!; my $how = pack("L", 2);
      my $at = clock_gettime(CLOCK_MONOTONIC); ioctl($d, 0x8004587d, $how) or die $!; printf("%.0f", $at * 1e9);`;
    return BigInt(run('perl', '-e', script, this.path));
  }

  /** What is on the disk now, as another image. */
  async copy(image: string): Promise<void> {
    await copyFile(this.image ?? '', image);
  }

  /** The kernel finds an error and turns the file system read-only. */
  turnReadOnly(): void {
    writeFileSync(join(this.#kernelFolder(), 'trigger_fs_error'), '1');
  }

  /** Repairs it and mounts it again, between two tries of whoever uses it. */
  async repair(): Promise<void> {
    const folder = this.#kernelFolder();
    await eventually(() => spawnSync('umount', [this.path]).status === 0, 'nobody holds a file on the disk');
    this.#isMounted = false;
    // A mount namespace that another test made meanwhile has a copy of the mount. Until that is gone the file system is
    // the old one, read-only, and mounting would only show it again.
    await eventually(() => !existsSync(folder), 'the kernel has let go of the file system');
    spawnSync('e2fsck', ['-f', '-y', this.image ?? '']);
    run('mount', '-o', 'loop', this.image ?? '', this.path);
    this.#isMounted = true;
  }

  /** Where the kernel shows the mounted file system. */
  #kernelFolder(): string {
    return join('/sys/fs/ext4', basename(run('findmnt', '-n', '-o', 'SOURCE', this.path)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isMounted) return;
    await eventually(() => spawnSync('umount', [this.path]).status === 0, `${this.path} is unmounted`, 30_000);
  }
}
