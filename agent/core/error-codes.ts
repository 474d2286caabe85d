/**
 * Every error code of Outpost, in one table: who must act, what it is, what to do.
 * `agent/core/ERRORS.md` is generated from it.
 *
 * kind: bug (us) · config (operator) · peer (a device or server) · transient (nobody) · limit (shed) · fatal (exit)
 */
export type ErrorKind = 'bug' | 'config' | 'peer' | 'transient' | 'limit' | 'fatal';

export interface ErrorEntry {
  readonly kind: ErrorKind;
  readonly title: string;
  readonly hint: string;
}

export const errorCodes = {
  // core
  internal: {
    kind: 'bug',
    title: 'Something inside Outpost broke.',
    hint: 'Report it, with the log around it and `outpost doctor --json`.',
  },
  'message-too-large': {
    kind: 'limit',
    title: 'A message between processes is larger than its limit.',
    hint: 'Report it; the process that sent it is restarted.',
  },
  'message-garbled': {
    kind: 'bug',
    title: 'A message between processes cannot be read.',
    hint: 'Report it; the process that sent it is restarted.',
  },

  'notify-unavailable': {
    kind: 'config',
    title: 'The service manager cannot be told how the agent is.',
    hint: 'Install the whole package, or run `outpost install`; from source: `node packaging/notify/build.ts`.',
  },

  'identity-unusable': {
    kind: 'config',
    title: 'The device’s own key cannot be used.',
    hint: 'Restore identity.pem from a backup. Without one, move it away: the device gets a new key, and must be enrolled anew.',
  },
  'storage-unusable': {
    kind: 'config',
    title: 'There is no folder that events could be kept in.',
    hint: 'Set storage.path to a folder that this user may write, such as: outpost run --config FILE.',
  },

  // install, release
  'install-root': {
    kind: 'config',
    title: 'Only root can install a service.',
    hint: 'Run it with sudo, or see what it would do: --dry-run as root.',
  },
  'install-owned': {
    kind: 'config',
    title: 'Outpost is installed as a package: its package manager has it in its care.',
    hint: 'Use dpkg or rpm.',
  },
  'install-machine': {
    kind: 'config',
    title: 'The program is for another processor.',
    hint: 'Take the release for this machine: `uname -m` says x86_64 (linux-x64) or aarch64 (linux-arm64).',
  },
  'install-downgrade': {
    kind: 'config',
    title: 'A newer Outpost is installed.',
    hint: 'Nothing was changed. If going back is what you want: --allow-downgrade. The older one may refuse the newer store.',
  },
  'install-source': {
    kind: 'config',
    title: 'This program has not all that a service needs beside it.',
    hint: 'Install from a release: `outpost install --from DIR`.',
  },
  'release-missing': {
    kind: 'config',
    title: 'There is no release at that place.',
    hint: 'Name the folder that has SHA256SUMS in it, or the .tar of one.',
  },
  'release-untrusted': {
    kind: 'config',
    title: 'The release is not signed by a key that is trusted.',
    hint: 'Nothing was installed. Get the release anew from who made it; check that --key is the key of that maker.',
  },
  'release-damaged': {
    kind: 'config',
    title: 'The release is not what its maker signed.',
    hint: 'Nothing was installed. Copy the release anew; the stick may be failing.',
  },

  // street, pictures, evidence, rendering
  'sim-url': {
    kind: 'config',
    title: 'The address of a simulated camera cannot be read.',
    hint: 'Write it as sim://street?seed=1&fps=10&seconds=60; every part after the question mark may be left out.',
  },
  'picture-unreadable': {
    kind: 'peer',
    title: 'A picture cannot be decoded.',
    hint: 'Check the camera: the picture was empty, cut short, damaged or far too large.',
  },
  'evidence-name': {
    kind: 'bug',
    title: 'A piece of evidence has an id or media type that cannot be a file’s name.',
    hint: 'Report it, with the log around it and `outpost doctor --json`.',
  },
  'evidence-full': {
    kind: 'limit',
    title: 'There is no room for evidence.',
    hint: 'Free space on the disk, or raise evidence.maxSize; events go on without pictures.',
  },
  'evidence-unavailable': {
    kind: 'transient',
    title: 'The folder of evidence cannot be written.',
    hint: 'Check that storage.path is a folder on a healthy disk that Outpost may write to.',
  },
  'upload-unreachable': {
    kind: 'transient',
    title: 'The server for pictures cannot be reached, or hung up.',
    hint: 'Check the network, evidence.server.url, and that the server runs. Pictures wait on the disk.',
  },
  'upload-silent': {
    kind: 'transient',
    title: 'The server for pictures does not answer in time.',
    hint: 'Check the server and the line. Pictures wait on the disk.',
  },
  'upload-tls': {
    kind: 'config',
    title: 'TLS with the server for pictures failed.',
    hint: 'Check the server’s certificate, evidence.server.ca, certificate and key, the host name in the URL, and the clock.',
  },
  'upload-refused': {
    kind: 'peer',
    title: 'The server for pictures refuses one.',
    hint: 'Check evidence.server.url and its token, and what the server allows; redirects are not followed.',
  },
  'upload-file': {
    kind: 'config',
    title: 'A file that the upload of pictures needs cannot be read.',
    hint: 'Check evidence.server.ca, certificate and key.',
  },
  'render-encoder': {
    kind: 'peer',
    title: 'This ffmpeg cannot write the video.',
    hint: 'Install an ffmpeg with libx264 or mpeg4 (apt-get install ffmpeg), and name a file that ends in .mp4.',
  },
  'render-output': {
    kind: 'config',
    title: 'The rendered video cannot be written.',
    hint: 'Check that the folder exists, that you may write to it, and that the disk has space.',
  },

  // the inference child
  'vision-thread-ended': {
    kind: 'transient',
    title: 'The detection thread ended.',
    hint: 'It is started again. When it repeats, run `outpost doctor` and lower `vision.threads`.',
  },
  'vision-ended': {
    kind: 'transient',
    title: 'The inference child ended.',
    hint: 'It is started again with backoff. When it repeats, see the log before it and run `outpost doctor`.',
  },
  'processor-unsuited': {
    kind: 'config',
    title: 'The native libraries cannot run on this processor.',
    hint: 'Detection needs x86-64 with SSE4.2, or ARMv8.0-A. See `outpost --version` for the binary’s kind; report the processor (/proc/cpuinfo).',
  },
  'vision-silent': {
    kind: 'transient',
    title: 'The inference child says nothing any more.',
    hint: 'It is ended and started again.',
  },
  'vision-memory': {
    kind: 'limit',
    title: 'The inference child grew past its memory limit.',
    hint: 'It is started again. Raise `vision.memoryMax` if it happens often.',
  },

  // the local socket
  'socket-path-too-long': {
    kind: 'config',
    title: 'The path of the local socket is longer than the system allows.',
    hint: 'Choose a shorter `storage.path`.',
  },
  'agent-not-running': {
    kind: 'peer',
    title: 'No agent answers.',
    hint: 'Start it with `outpost run`, or name its configuration with --config.',
  },
  'agent-silent': {
    kind: 'peer',
    title: 'The agent does not answer in time.',
    hint: 'See its log; restart it when it stays silent.',
  },

  'config-invalid': {
    kind: 'config',
    title: 'The configuration cannot be used.',
    hint: 'Run `outpost check-config` to see each mistake and its place.',
  },
  // replay
  'replay-stopped': {
    kind: 'transient',
    title: 'The replay was stopped before its end; nothing was written.',
    hint: 'Run it again and let it finish.',
  },
  'output-unwritable': {
    kind: 'config',
    title: 'An output file cannot be written.',
    hint: 'Check the folder, its permissions and the free space.',
  },
  // evaluation of tracking
  'mot-garbled': {
    kind: 'config',
    title: 'A file is not in the MOTChallenge format.',
    hint: 'Write one box a line: frame,id,x,y,width,height,score with frames from 1 and ids unique within a frame.',
  },
  'mot-unreadable': {
    kind: 'config',
    title: 'A file of tracks, truth or detections cannot be read.',
    hint: 'Check the path, and that the file may be read.',
  },
  // trust
  'trust-key': {
    kind: 'config',
    title: 'A key is not an Ed25519 key that can be read.',
    hint: 'Give a public key as PEM or base64 (`outpost keys new` prints one), a private key as PKCS #8 in PEM.',
  },
  // config
  'config-missing': {
    kind: 'config',
    title: 'The configuration file is not there.',
    hint: 'Name one that exists, or write ./outpost.yaml; config/README.md starts with an example.',
  },
  'config-unreadable': {
    kind: 'config',
    title: 'The configuration file cannot be read.',
    hint: 'Check that it is a text file of at most 1 MiB in UTF-8, and who may read it.',
  },
  // packaging
  'cache-unusable': {
    kind: 'config',
    title: 'Outpost cannot unpack itself: the cache folder cannot be used.',
    hint: 'Set XDG_CACHE_HOME to a folder that this user alone may write to.',
  },
  'cache-full': {
    kind: 'limit',
    title: 'There is no space to unpack Outpost.',
    hint: 'Free 100 MB there, or set XDG_CACHE_HOME to a folder on another disk.',
  },
  'program-damaged': {
    kind: 'fatal',
    title: 'The executable is damaged.',
    hint: 'Copy it to the device again, and compare its sha256 with the published one.',
  },
  'package-target': {
    kind: 'config',
    title: 'No binary can be made for this target.',
    hint: 'Run `npm run package -- x64`, `arm64` or `all`.',
  },
  'package-elf': {
    kind: 'config',
    title: 'A file of the binary could not be loaded by the devices.',
    hint: 'Build it against an older glibc, as packaging/sqlite.ts does, or take an earlier version of its package.',
  },
  'package-failed': {
    kind: 'config',
    title: 'The binary cannot be made.',
    hint: 'Run `npm ci`, then try again.',
  },
  // capture
  'picture-too-large': {
    kind: 'limit',
    title: 'A picture is larger than the limit.',
    hint: 'Lower the camera’s resolution; pictures of up to 64 million pixels are read.',
  },
  'ffmpeg-missing': {
    kind: 'config',
    title: 'There is no ffmpeg on this machine.',
    hint: 'Install it: `apt-get install ffmpeg` or `dnf install ffmpeg`; or name one with OUTPOST_FFMPEG.',
  },
  'ffmpeg-unusable': {
    kind: 'config',
    title: 'This ffmpeg cannot be used.',
    hint: 'Install ffmpeg 4.1 or newer: `apt-get install ffmpeg` or `dnf install ffmpeg`.',
  },
  'source-missing': {
    kind: 'config',
    title: 'The camera’s file or folder is not there.',
    hint: 'Check the path in the camera’s `url`, and that Outpost may read it.',
  },
  'source-unsupported': {
    kind: 'config',
    title: 'The camera’s address is of a kind that is not read.',
    hint: 'Use rtsp://, rtsps://, http://, https://, a video file, a folder of pictures, or sim://street; RTSP instead of HLS or DASH.',
  },
  'source-unreadable': {
    kind: 'config',
    title: 'The source is not a video or picture that can be decoded.',
    hint: 'Play it with ffplay; check that the address leads to the video itself and not to a page or a list.',
  },
  'source-forbidden': {
    kind: 'config',
    title: 'The source asks for other files or addresses than its own.',
    hint: 'Give the address of the video itself, not of a playlist or script.',
  },
  'source-unauthorized': {
    kind: 'config',
    title: 'The camera refuses the user or the password.',
    hint: 'Put the camera’s user and password into its address: rtsp://user:password@host/path.',
  },
  'source-not-found': {
    kind: 'config',
    title: 'The camera does not know the path of the address.',
    hint: 'Look up the stream’s path in the camera’s manual or its ONVIF profile.',
  },
  'source-refused': {
    kind: 'peer',
    title: 'The camera answers with an error.',
    hint: 'See the camera’s own page; restart it when it goes on. It is tried again.',
  },
  'source-unreachable': {
    kind: 'peer',
    title: 'The camera does not answer.',
    hint: 'Check its power, its cable and its address. It is tried again.',
  },
  'source-stalled': {
    kind: 'peer',
    title: 'The camera is connected but sends no pictures.',
    hint: 'Restart the camera when it goes on. It is tried again.',
  },
  'source-ended': {
    kind: 'peer',
    title: 'The camera ended its stream.',
    hint: 'It is tried again. When it repeats, look for a limit of connections at the camera.',
  },
  // models, the session, the detector
  'model-unknown': {
    kind: 'config',
    title: 'No model has this name.',
    hint: 'Run `outpost models list`, or name a folder with a manifest.json.',
  },
  'manifest-invalid': {
    kind: 'config',
    title: 'The manifest of a model cannot be used.',
    hint: 'Correct what is named; models/README.md shows a whole manifest.',
  },
  'model-missing': {
    kind: 'config',
    title: 'The weights of a model are not there.',
    hint: 'Run `outpost models pull`, or give a file with `outpost models pull NAME --from FILE`.',
  },
  'model-damaged': {
    kind: 'config',
    title: 'The weights of a model are damaged, or are another file.',
    hint: 'Run `outpost models verify`, then `outpost models pull --force NAME`.',
  },
  'model-mismatch': {
    kind: 'config',
    title: 'The model is not what its manifest says.',
    hint: 'Correct head, input, labels and strides of the manifest.',
  },
  'runtime-unavailable': {
    kind: 'fatal',
    title: 'The inference runtime cannot be loaded.',
    hint: 'Run `outpost doctor`: it needs a 64-bit x86 or ARM processor and glibc 2.28 or newer.',
  },
  'out-of-memory': {
    kind: 'limit',
    title: 'There is not enough memory for the model.',
    hint: 'Choose a smaller model, or give the device’s other programs less memory.',
  },
  'inference-failed': {
    kind: 'transient',
    title: 'The model failed on a frame.',
    hint: 'The session is opened again. When it repeats, run `outpost models verify`.',
  },
  'frame-misfit': {
    kind: 'bug',
    title: 'A frame does not have the size that the model takes.',
    hint: 'Report it, with the log around it and `outpost doctor --json`.',
  },
  'convert-failed': {
    kind: 'peer',
    title: 'A model cannot be converted to ONNX.',
    hint: 'The package is not the one that the manifest names; report it.',
  },
  'download-unreachable': {
    kind: 'peer',
    title: 'A server cannot be reached.',
    hint: 'Check the network. Behind a proxy, set HTTPS_PROXY and NODE_USE_ENV_PROXY=1.',
  },
  'download-refused': {
    kind: 'peer',
    title: 'A server refuses the download.',
    hint: 'Check the address, and that no proxy answers in the server’s place.',
  },
  'download-broken': {
    kind: 'transient',
    title: 'A download ended early, again and again.',
    hint: 'Run the same command again: it goes on where it stopped.',
  },
  'download-mismatch': {
    kind: 'peer',
    title: 'What was downloaded is not what was asked for.',
    hint: 'A proxy may have answered in the server’s place, or the file has changed there. Nothing of it is kept.',
  },
  'download-stopped': {
    kind: 'transient',
    title: 'The download was stopped.',
    hint: 'Run the same command again: it goes on where it stopped.',
  },
  'npm-failed': {
    kind: 'peer',
    title: 'npm cannot fetch a package.',
    hint: 'Check `npm ping`; a mirror is set by `npm config set registry URL`, a proxy by `npm config set https-proxy URL`.',
  },
  'models-unwritable': {
    kind: 'config',
    title: 'The folder for models cannot be written.',
    hint: 'Check its permissions and the free space, or name another by --cache DIR or XDG_CACHE_HOME.',
  },
  // evaluation of detection
  'truth-garbled': {
    kind: 'config',
    title: 'The truth beside a picture cannot be read.',
    hint: 'Write it as Pascal VOC XML: NAME.xml beside NAME.jpg.',
  },
  'truth-missing': {
    kind: 'config',
    title: 'There is nothing to evaluate.',
    hint: 'Name a folder with pictures (NAME.jpg or .png) and their truth (NAME.xml, Pascal VOC).',
  },

  // outbox
  'outbox-full': {
    kind: 'limit',
    title: 'The store has no room for this event.',
    hint: 'Restore the line so that waiting events can leave, free space on the disk, or raise outbox.maxSize.',
  },
  'outbox-busy': {
    kind: 'limit',
    title: 'Events arrive faster than the disk can store them.',
    hint: 'Check the disk’s health and speed; lower the rate of events.',
  },
  'outbox-unavailable': {
    kind: 'transient',
    title: 'The store cannot be written now.',
    hint: 'Check the disk’s space and health. The store is opened again by itself.',
  },
  'outbox-corrupt': {
    kind: 'transient',
    title: 'The store is damaged.',
    hint: 'It is kept aside, what can be read is taken over, and what is lost is declared. Check the disk’s health.',
  },
  'outbox-locked': {
    kind: 'config',
    title: 'Another process holds the store.',
    hint: 'Two agents need two folders: give each its own storage.path, or end the other one.',
  },
  'outbox-newer': {
    kind: 'config',
    title: 'The store was written by a newer Outpost.',
    hint: 'Install that version again, or choose another storage.path.',
  },
  'outbox-not-durable': {
    kind: 'config',
    title: 'The file system does not let the store be durable.',
    hint: 'Put storage.path on a local disk (ext4, xfs), not on a network share.',
  },
  'outbox-closed': {
    kind: 'transient',
    title: 'The store is closed.',
    hint: 'The agent is ending.',
  },
  'event-too-large': {
    kind: 'limit',
    title: 'An event is larger than any broker takes.',
    hint: 'Report it; pictures belong into evidence, not into events.',
  },

  // drivers and their ports
  'port-missing': {
    kind: 'peer',
    title: 'A port is not there, or nobody answers at it.',
    hint: 'Check the plug, the power and the name; `outpost drivers ports` lists what is there. It is tried again.',
  },
  'port-denied': {
    kind: 'config',
    title: 'A port may not be opened by this user.',
    hint: 'Add the user to the group dialout, or install packaging/system/70-outpost.rules.',
  },
  'port-busy': {
    kind: 'config',
    title: 'A port is held by another process or peripheral.',
    hint: 'End the one that is named; a getty, ModemManager or brltty is kept away by packaging/system/70-outpost.rules.',
  },
  'port-unusable': {
    kind: 'config',
    title: 'A port cannot be used as a serial line.',
    hint: 'Check that it is a serial port, and that it can do the rate, parity and bits that are asked for.',
  },
  'port-lost': {
    kind: 'peer',
    title: 'The connection to a device is gone.',
    hint: 'Check the plug and the power. It is opened again by itself.',
  },
  'port-stuck': {
    kind: 'peer',
    title: 'A port takes no more bytes.',
    hint: 'Check the device, its flow control and the cable. It is opened again by itself.',
  },
  'pty-unavailable': {
    kind: 'config',
    title: 'No pseudo terminal can be made for a simulated device.',
    hint: 'Install perl and coreutils, and check that /dev/ptmx is there; or name an existing port with --port.',
  },
  'device-foreign': {
    kind: 'config',
    title: 'What answers at a port is not what the driver works, or nothing answers.',
    hint: 'Check the wiring, the address and the line’s settings; `outpost drivers probe` tries every driver at a port.',
  },
  'device-silent': {
    kind: 'peer',
    title: 'A device has fallen silent.',
    hint: 'Check its power and its cable. The port is opened again by itself.',
  },
  'reader-channel': {
    kind: 'config',
    title: 'A reader and we find no secure channel; it is not used in the clear.',
    hint: 'Check that `key` is the one that the reader was given; a new reader gets it with `channel: installation` and the action installKey.',
  },
  'driver-options': {
    kind: 'config',
    title: 'The options of a driver are wrong.',
    hint: 'See `outpost drivers describe NAME` for what may be said.',
  },
  'picture-unwritable': {
    kind: 'config',
    title: 'The picture of a simulated device cannot be written.',
    hint: 'Name a PNG file in a folder that can be written, and a device that shows something: escpos-printer.',
  },
  'recording-unreadable': {
    kind: 'config',
    title: 'A recording cannot be read.',
    hint: 'Check the path, and that the file may be read.',
  },
  'driver-exists': {
    kind: 'config',
    title: 'A new driver cannot be written there.',
    hint: 'Choose a name of a-z, 0-9 and - that no driver has, in a folder that you may write to.',
  },
  'driver-unknown': {
    kind: 'config',
    title: 'No driver has this name.',
    hint: 'Run `outpost drivers list`.',
  },

  // uplink
  'broker-unreachable': {
    kind: 'transient',
    title: 'The broker cannot be reached.',
    hint: 'Check the network, uplink.url, and that the broker runs. It is tried again by itself.',
  },
  'broker-refused': {
    kind: 'peer',
    title: 'The broker refused the connection.',
    hint: 'See its log for the reason. It is tried again by itself.',
  },
  'broker-credentials': {
    kind: 'config',
    title: 'The broker refused the credentials.',
    hint: 'Check uplink.username, uplink.password, the certificate, and the broker’s access list.',
  },
  'broker-protocol': {
    kind: 'config',
    title: 'The broker does not speak this version of MQTT.',
    hint: 'Set uplink.protocol to auto.',
  },
  'broker-tls': {
    kind: 'config',
    title: 'TLS with the broker failed.',
    hint: 'Check uplink.ca, uplink.certificate and uplink.key, the host name in uplink.url, and the clock.',
  },
  'broker-certificate-expired': {
    kind: 'peer',
    title: 'The broker’s certificate has expired.',
    hint: 'Renew it at the broker; check this device’s clock, which may run ahead. Events wait on the disk.',
  },
  'broker-certificate-not-yet-valid': {
    kind: 'transient',
    title: 'The broker’s certificate is not valid yet, by this device’s clock.',
    hint: 'Check this device’s clock: after a start without a battery it stands in the past until it is set.',
  },
  'certificate-expired': {
    kind: 'config',
    title: 'This device’s certificate has expired.',
    hint: 'Put a new certificate and key into the files that uplink.certificate and uplink.key name; it is taken by itself.',
  },
  'certificate-not-yet-valid': {
    kind: 'config',
    title: 'This device’s certificate is not valid yet, by its clock.',
    hint: 'Check the clock, which stands in the past after a start without a battery, and the certificate’s dates.',
  },
  'certificate-unusable': {
    kind: 'config',
    title: 'The certificate cannot be used.',
    hint: 'uplink.certificate and uplink.key must be PEM and belong together; write both, the certificate last.',
  },
  'broker-closed': {
    kind: 'peer',
    title: 'The broker closed the connection.',
    hint: 'See its log for the reason. It is tried again by itself.',
  },
  'broker-silent': {
    kind: 'transient',
    title: 'The broker does not answer any more.',
    hint: 'The line is cut without a word. It is tried again by itself.',
  },
  'broker-taken-over': {
    kind: 'config',
    title: 'Another client connected with this device’s id.',
    hint: 'Give each device its own device.id; look for a copy of this one.',
  },
  'broker-refuses-events': {
    kind: 'peer',
    title: 'The broker takes the connection but refuses the events.',
    hint: 'Check its access list, its quota and its packet size for this device’s topics.',
  },
  'broker-no-subscriber': {
    kind: 'peer',
    title: 'Nobody subscribes to the events.',
    hint: 'Start the consumer. Events wait on the device until somebody takes them.',
  },
  'uplink-file': {
    kind: 'config',
    title: 'A file that the uplink needs cannot be read.',
    hint: 'Check uplink.ca, uplink.certificate and uplink.key.',
  },

  // sink
  'sink-option': {
    kind: 'config',
    title: 'An option of the sink cannot be used.',
    hint: 'See `outpost sink --help`.',
  },
  'sink-metrics-port': {
    kind: 'config',
    title: 'The port of --metrics cannot be used.',
    hint: 'Another program has it, or it is not of this machine; take another one.',
  },
  'verify-store': {
    kind: 'config',
    title: 'The folder holds no store of a device that can be read.',
    hint: 'Name the folder of outbox.db: storage.path of the device, or a copy of it.',
  },
  'bench-peer': {
    kind: 'config',
    title: 'A program that the bench needs is not here.',
    hint: 'apt-get install mosquitto postgresql gcc libc6-dev',
  },
  'sink-media': {
    kind: 'transient',
    title: 'Media cannot be stored where --media says.',
    hint: 'Check the folder or the server; it stays in the database and is tried again.',
  },
  'sink-database-url': {
    kind: 'config',
    title: 'The address of the database cannot be read.',
    hint: 'Write it as postgres://user:password@host:5432/name, or as sqlite:FILE.',
  },
  'sink-database-refused': {
    kind: 'config',
    title: 'The database cannot be used by this user, or at this place.',
    hint: 'Check --database: user, password, name or folder, and that the user may create tables.',
  },
  'sink-database-newer': {
    kind: 'config',
    title: 'The database was made by a newer Outpost.',
    hint: 'Use that version, or a newer one. Nothing was changed.',
  },
  'sink-database-older': {
    kind: 'config',
    title: 'The database was made by an older Outpost.',
    hint: 'Start `outpost sink` of this version once: it brings the tables up to date.',
  },
  'sink-database-empty': {
    kind: 'config',
    title: 'The database holds nothing of Outpost.',
    hint: 'Check --database; `outpost sink` makes the tables when it starts.',
  },
  'sink-database-not-durable': {
    kind: 'config',
    title: 'The database does not wait for its disk.',
    hint: 'Turn fsync and full_page_writes on in PostgreSQL; what is acknowledged would not survive a power cut.',
  },
  'sink-database-down': {
    kind: 'transient',
    title: 'The database cannot be reached.',
    hint: 'Check that it runs and its address. Nothing is acknowledged meanwhile; it is tried again by itself.',
  },
  'sink-database-locked': {
    kind: 'transient',
    title: 'The database is locked by somebody else.',
    hint: 'Look for a long transaction, or another program on the file. It is tried again by itself.',
  },
  'sink-database-damaged': {
    kind: 'config',
    title: 'The database is damaged, or no database.',
    hint: 'Restore a backup, or name another file: devices with custody `consumer` still hold what was not committed.',
  },
  'sink-database-full': {
    kind: 'limit',
    title: 'The database has no room.',
    hint: 'Free space on its disk. Nothing is acknowledged meanwhile; it is tried again by itself.',
  },
  'broker-subscription': {
    kind: 'peer',
    title: 'The broker refuses a subscription.',
    hint: 'Check its access list for this user and these topics.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCodes;
