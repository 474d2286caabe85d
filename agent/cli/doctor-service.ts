/** What `doctor` looks at where Outpost is to be a service: user, groups, udev's rules, unit, watchdogs. */
import { ask } from './doctor-system.ts';
import type { Finding } from './doctor-finding.ts';

const install = 'Install the package, or run: outpost install';

export async function checkUser(): Promise<readonly Finding[]> {
  const [{ readFile }, { deviceGroups, serviceUser }] = await Promise.all([
    import('node:fs/promises'),
    import('#packaging/system/layout.ts'),
  ]);
  const [passwd, group] = await Promise.all(
    ['/etc/passwd', '/etc/group'].map(async (file) => await readFile(file, 'utf8').catch(() => '')),
  );
  const check = 'user';
  if (!new RegExp(`^${serviceUser}:`, 'm').test(passwd ?? '')) {
    return [{ check, verdict: 'warn', detail: `there is no user ${serviceUser}`, hint: install }];
  }
  const lines = new Map((group ?? '').split('\n').map((line) => [line.split(':', 1)[0] ?? '', line]));
  const missing = deviceGroups.filter((name) => {
    const members = lines.get(name)?.split(':')[3];
    return members !== undefined && !members.split(',').includes(serviceUser);
  });
  if (missing.length === 0) return [{ check, verdict: 'ok', detail: `${serviceUser}, in the groups of the devices` }];
  return [
    {
      check,
      verdict: 'warn',
      detail: `${serviceUser} is not in ${missing.join(', ')}: those devices stay closed`,
      hint: `usermod -aG ${missing.join(',')} ${serviceUser} && systemctl restart outpost`,
    },
  ];
}

export async function checkUdev(): Promise<readonly Finding[]> {
  const [{ access }, { udevFolders, udevName }] = await Promise.all([
    import('node:fs/promises'),
    import('#packaging/system/layout.ts'),
  ]);
  for (const folder of new Set(Object.values(udevFolders))) {
    const path = `${folder}/${udevName}`;
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return [{ check: 'udev', verdict: 'ok', detail: path }];
  }
  const detail = 'Outpost’s rules are not here: serial lines and cameras may stay closed to it';
  return [{ check: 'udev', verdict: 'warn', detail, hint: install }];
}

const properties = ['LoadState', 'UnitFileState', 'ActiveState', 'SubState', 'NRestarts', 'WatchdogUSec'];

export async function checkService(): Promise<readonly Finding[]> {
  const { unitName } = await import('#packaging/system/layout.ts');
  const check = 'service';
  const shown = await ask('systemctl', ['show', unitName, ...properties.flatMap((name) => ['-p', name])]);
  // In a chroot systemctl ignores the question.
  if (!shown?.includes('LoadState=')) {
    const detail = 'systemd does not run here: nothing starts Outpost at boot, or again when it hangs';
    return [{ check, verdict: 'warn', detail, hint: 'Let what starts services here run: outpost run' }];
  }
  const values = new Map(shown.split('\n').map((line) => line.split(/=(.*)/, 2) as [string, string]));
  const of = (name: string): string => values.get(name) ?? '';
  if (of('LoadState') !== 'loaded') return [{ check, verdict: 'warn', detail: 'there is no unit', hint: install }];
  const state = `${of('UnitFileState')}, ${of('ActiveState')} (${of('SubState')}), started anew ${of('NRestarts') || 0} times`;
  const isUp = of('UnitFileState') === 'enabled' && of('ActiveState') === 'active';
  const isWatched = !['', '0', 'infinity'].includes(of('WatchdogUSec'));
  return [
    isUp
      ? { check, verdict: 'ok', detail: state }
      : {
          check,
          verdict: 'warn',
          detail: state,
          hint: `systemctl enable --now ${unitName}; journalctl -u ${unitName}`,
        },
    isWatched
      ? { check: 'watchdog', verdict: 'ok', detail: `systemd waits ${of('WatchdogUSec')} for a sign of life` }
      : {
          check: 'watchdog',
          verdict: 'warn',
          detail: 'the unit has no WatchdogSec: one that hangs stays so',
          hint: install,
        },
  ];
}

/** A kernel that hangs is started again by hardware alone. */
export async function checkHardwareWatchdog(): Promise<readonly Finding[]> {
  const { readdir } = await import('node:fs/promises');
  const names = await readdir('/dev').catch(() => []);
  const device = names.find((name) => name.startsWith('watchdog'));
  const check = 'hardware dog';
  if (device === undefined) {
    const hint = 'modprobe softdog, or turn on the watchdog of this board in its firmware';
    return [{ check, verdict: 'warn', detail: 'no /dev/watchdog: a kernel that hangs stays so', hint }];
  }
  const shown = await ask('systemctl', ['show', '-p', 'RuntimeWatchdogUSec', '--value']);
  const period = shown?.trim() ?? '0';
  if (!['', '0', 'infinity'].includes(period)) return [{ check, verdict: 'ok', detail: `/dev/${device}, ${period}` }];
  const hint = 'Set RuntimeWatchdogSec=30 in /etc/systemd/system.conf, then: systemctl daemon-reexec';
  return [{ check, verdict: 'warn', detail: `/dev/${device} is there, and nobody feeds it`, hint }];
}
