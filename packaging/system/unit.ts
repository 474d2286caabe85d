/** The systemd unit: packaging/system/outpost.service is generated from here, and `outpost install` writes it. */
import { deviceGroups, places, serviceUser } from './layout.ts';

/** Classes of devices as /proc/devices names them: serial lines, cameras, loudspeakers, printers. */
const devices = ['ttyS', 'ttyUSB', 'ttyACM', 'ttyAMA', 'video4linux', 'alsa', 'usb'];

export const unitText = (): string => `[Unit]
Description=Outpost: watches cameras and tells what matters, losing nothing
Documentation=file:${places.docs}
After=local-fs.target network.target
# Never permanently failed: it is started again for ever.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=${places.program} run
User=${serviceUser}
Group=${serviceUser}
WorkingDirectory=/var/lib/outpost
StateDirectory=outpost
StateDirectoryMode=0750
CacheDirectory=outpost
CacheDirectoryMode=0750
ConfigurationDirectory=outpost
ConfigurationDirectoryMode=0750

# Ready when the store is open and the local socket answers; a store that was damaged may take minutes to read through.
TimeoutStartSec=600
# Fed while event loop, store and inference child answer. Else SIGABRT, and a new start.
WatchdogSec=30
TimeoutAbortSec=10
# It ends in 5 s by itself.
TimeoutStopSec=10
KillMode=mixed
Restart=always
RestartSec=1
# From systemd 254 on: up to a minute, in steps. Older ones leave these two out.
RestartSteps=6
RestartMaxDelaySec=60

# NDJSON, one line an entry.
StandardOutput=journal
StandardError=journal
SyslogIdentifier=outpost
SyslogLevelPrefix=no

Environment=MALLOC_ARENA_MAX=1
# A child that the kernel ends for its memory is started again by the agent, which goes on.
OOMPolicy=continue
MemoryHigh=1200M
MemoryMax=1500M
# What citizens say stays out of swap and of core files.
MemorySwapMax=0
LimitCORE=0
LimitNOFILE=16384
TasksMax=256

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0077
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateMounts=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @obsolete
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute stays off: V8 compiles.
DevicePolicy=closed
${devices.map((name) => `DeviceAllow=char-${name} rw\n`).join('')}
[Install]
WantedBy=multi-user.target
`;

/** udev's rules: packaging/system/70-outpost.rules is generated from here. */
export const udevRules =
  (): string => `# Outpost: the service reaches serial lines, cameras and printers by group (${deviceGroups.join(', ')}).
# Names that stay the same after a replug are udev's own: /dev/serial/by-path, /dev/serial/by-id, /dev/v4l/by-path.
SUBSYSTEM=="tty", KERNEL=="ttyS[0-9]*|ttyUSB[0-9]*|ttyACM[0-9]*|ttyAMA[0-9]*", GROUP="dialout", MODE="0660"
SUBSYSTEM=="video4linux", GROUP="video", MODE="0660"
SUBSYSTEM=="usbmisc", KERNEL=="lp[0-9]*", GROUP="lp", MODE="0660"
# A device that sleeps loses the first bytes it is sent.
ACTION=="add", SUBSYSTEM=="usb", DEVTYPE=="usb_device", ENV{ID_USB_INTERFACES}=="*:0e*|*:0202*|*:0701*", TEST=="power/control", ATTR{power/control}="on"
# ModemManager sends AT commands to whatever appears; brltty takes some adapters for Braille displays.
SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ENV{ID_MM_DEVICE_IGNORE}="1", ENV{ID_MM_PORT_IGNORE}="1", ENV{BRLTTY_BRAILLE_DRIVER}=""
# An FTDI adapter gathers bytes for 16 ms otherwise.
ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", TEST=="latency_timer", ATTR{latency_timer}="1"
`;
