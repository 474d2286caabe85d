/** Shell for dpkg, rpm: what is done once the files are there. POSIX sh; each part may run again, and mends what is half done. */
import { configMode, deviceGroups, folders, places, serviceUser, stateFolder, unitName } from './layout.ts';

/** Where packages keep the first configuration: not below /usr/share/doc, which small systems leave out. */
export const starterPlace = '/usr/share/outpost/outpost.yaml';

export const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

const makeUser = `getent group ${serviceUser} >/dev/null || groupadd --system ${serviceUser}
getent passwd ${serviceUser} >/dev/null || useradd --system --gid ${serviceUser} --home-dir ${stateFolder} \\
  --no-create-home --shell /usr/sbin/nologin --comment Outpost ${serviceUser}
for group in ${deviceGroups.join(' ')}; do
  if getent group "$group" >/dev/null; then usermod --append --groups "$group" ${serviceUser}; fi
done
`;

const makeFolders = folders
  .map(({ path, mode, owner, group }) => `install -d -m ${octal(mode)} -o ${owner} -g ${group} ${path}\n`)
  .join('');

/** Never over one that is there; whole or not at all. */
const firstConfig = `if [ ! -e ${places.config} ]; then
  install -m ${octal(configMode)} -o root -g ${serviceUser} ${starterPlace} ${places.config}.new
  mv -n ${places.config}.new ${places.config}
fi
`;

const reloadUdev = `if [ -d /run/udev ] && command -v udevadm >/dev/null; then
  udevadm control --reload || :
  udevadm trigger --subsystem-match=tty --subsystem-match=video4linux --subsystem-match=usbmisc || :
fi
`;

const hasSystemd = '[ -d /run/systemd/system ]';

/** As debhelper writes it: an administrator who disabled the unit finds it disabled after an upgrade. */
const debPostinst = `#!/bin/sh
set -e
case "$1" in
  configure | abort-upgrade | abort-deconfigure | abort-remove) ;;
  *) exit 0 ;;
esac
${makeUser}${makeFolders}${firstConfig}${reloadUdev}deb-systemd-helper unmask ${unitName} >/dev/null || :
if deb-systemd-helper --quiet was-enabled ${unitName}; then
  deb-systemd-helper enable ${unitName} >/dev/null || :
else
  deb-systemd-helper update-state ${unitName} >/dev/null || :
fi
if ${hasSystemd}; then
  systemctl --system daemon-reload >/dev/null || :
  if [ -n "$2" ]; then action=restart; else action=start; fi
  deb-systemd-invoke "$action" ${unitName} >/dev/null || :
fi
`;

/** An upgrade goes on running until the new one is there. */
const debPrerm = `#!/bin/sh
set -e
if [ "$1" = remove ] && ${hasSystemd}; then
  deb-systemd-invoke stop ${unitName} >/dev/null || :
fi
`;

const removeAll = `rm -rf ${folders.map(({ path }) => path).join(' ')}
if getent passwd ${serviceUser} >/dev/null; then userdel ${serviceUser} || :; fi
if getent group ${serviceUser} >/dev/null; then groupdel ${serviceUser} || :; fi
`;

const debPostrm = `#!/bin/sh
set -e
if ${hasSystemd}; then systemctl --system daemon-reload >/dev/null || :; fi
if [ "$1" = remove ] && command -v deb-systemd-helper >/dev/null; then
  deb-systemd-helper mask ${unitName} >/dev/null || :
fi
if [ "$1" = purge ]; then
  if command -v deb-systemd-helper >/dev/null; then
    deb-systemd-helper purge ${unitName} >/dev/null || :
    deb-systemd-helper unmask ${unitName} >/dev/null || :
  fi
  ${removeAll.trim().replaceAll('\n', '\n  ')}
fi
`;

export const debScripts: Readonly<Record<string, string>> = {
  postinst: debPostinst,
  prerm: debPrerm,
  postrm: debPostrm,
};

/** $1 is how many of the package there will be: 0 after a removal, 2 in an upgrade. */
export const rpmScripts: Readonly<Record<string, string>> = {
  pre: makeUser,
  post: `${reloadUdev}if ${hasSystemd}; then
  systemctl daemon-reload || :
  if [ "$1" = 1 ]; then systemctl enable --now ${unitName} || :; fi
elif [ "$1" = 1 ] && command -v systemctl >/dev/null; then
  systemctl enable ${unitName} || :
fi
`,
  preun: `if [ "$1" = 0 ] && command -v systemctl >/dev/null; then
  systemctl --no-reload disable ${unitName} || :
  if ${hasSystemd}; then systemctl stop ${unitName} || :; fi
fi
`,
  postun: `if ${hasSystemd}; then
  systemctl daemon-reload || :
  if [ "$1" -ge 1 ]; then systemctl try-restart ${unitName} || :; fi
fi
`,
};
