/** What the demo shows: a live table, plain lines, or JSON lines. */
import type { Status } from '#agent/outpost.ts';
import type { ReceivedEvent } from './demo-broker.ts';

export interface Progress {
  readonly receivedBytes: number;
  readonly totalBytes?: number | undefined;
}

export interface DemoBeginning {
  readonly video: string;
  readonly model: string;
  readonly broker: string;
}

export interface DemoScreen {
  readonly kind: 'table' | 'lines' | 'json';
  say(line: string): void;
  progress(what: string, progress: Progress): void;
  begin(beginning: DemoBeginning): void;
  event(event: ReceivedEvent): void;
  picture(path: string): void;
  table(status: Status, received: number): void;
  end(status: Status, received: number): void;
}

/** @param to where it writes */
export function openScreen(kind: DemoScreen['kind'], to: Output = process.stdout): DemoScreen {
  const out = (text: string): void => {
    to.write(text);
  };
  switch (kind) {
    case 'json':
      return jsonScreen(out);
    case 'lines':
      return lineScreen(out);
    case 'table':
      return tableScreen(out);
  }
}

type Write = (text: string) => void;
type Output = Pick<NodeJS.WriteStream, 'write'>;

/** The figures of the table, the same in every form. */
export function figures(status: Status, received: number): Readonly<Record<string, number | string>> {
  const camera = status.cameras[0];
  const depth = Object.values(status.outbox).reduce((sum, lane) => sum + lane.depth, 0);
  return {
    camera: camera?.state ?? 'none',
    framesPerSecond: Number((camera?.resultsPerSecond ?? 0).toFixed(1)),
    ageMsP50: Math.round(camera?.ageMsP50 ?? 0),
    ageMsP99: Math.round(camera?.ageMsP99 ?? 0),
    tracks: camera?.tracks ?? 0,
    events: status.events.made,
    outboxDepth: depth,
    published: status.uplink.published,
    acknowledged: status.uplink.acknowledged,
    received,
  };
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' ? `${value}` : undefined;

/** One event for a person: when, what, where, who. */
export function eventLine({ time, type, subject, lane, seq, data }: ReceivedEvent): string {
  const place = data['zone'] ?? data['line'] ?? data['condition'];
  const object = data['object'] as { label: string; track: number } | undefined;
  const objects = data['objects'] as readonly unknown[] | undefined;
  const details = [
    textOf(place),
    object && `${object.label} ${object.track}`,
    objects && `${objects.length} inside`,
    textOf(data['direction']),
    typeof data['peak'] === 'number' ? `${textOf(data['count']) ?? '?'} people, at most ${data['peak']}` : undefined,
    typeof data['durationMs'] === 'number' && data['durationMs'] > 0
      ? `${(data['durationMs'] / 1000).toFixed(1)} s`
      : undefined,
    typeof data['ageMs'] === 'number' ? `age ${data['ageMs']} ms` : undefined,
  ].filter((part) => part !== undefined);
  return `${time.slice(11, 23)}  ${type.replace('outpost.', '').padEnd(16)} ${subject}  ${lane}/${seq}  ${details.join(', ')}`;
}

function progressText(what: string, { receivedBytes, totalBytes }: Progress): string {
  const received = (receivedBytes / 1024 ** 2).toFixed(1);
  if (totalBytes === undefined || totalBytes === 0) return `${what}: ${received} MiB`;
  const part = Math.min(1, receivedBytes / totalBytes);
  const bar = '█'.repeat(Math.round(part * 24)).padEnd(24, '░');
  return `${what}: ${bar} ${Math.round(part * 100)} %  ${received} of ${(totalBytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** Progress as plain lines: one for each tenth. */
function steppedProgress(say: (line: string) => void): DemoScreen['progress'] {
  let told = '';
  return (what, progress) => {
    const tenth = progress.totalBytes ? Math.floor((10 * progress.receivedBytes) / progress.totalBytes) : 0;
    const step = `${what} ${tenth}`;
    if (step === told) return;
    told = step;
    say(progressText(what, progress));
  };
}

const figureLine = (status: Status, received: number): string =>
  Object.entries(figures(status, received))
    .map(([name, value]) => `${name} ${value}`)
    .join('  ');

const conditionLines = ({ health }: Status): readonly string[] =>
  health.conditions.map(({ title, subject, detail }) => `! ${title} (${subject}): ${detail}`);

function lineScreen(out: Write): DemoScreen {
  const say = (line: string): void => out(`${line}\n`);
  let tables = 0;
  let told = '';
  return {
    kind: 'lines',
    say,
    progress: steppedProgress(say),
    begin: ({ video, model, broker }) => say(`camera ${video}   model ${model}   broker ${broker}`),
    event: (event) => say(eventLine(event)),
    picture: (path) => say(`picture of the first event: ${path}`),
    table(status, received) {
      const conditions = conditionLines(status);
      if (conditions.join() !== told) for (const line of conditions) say(line);
      told = conditions.join();
      if (tables % 10 === 0) say(figureLine(status, received));
      tables += 1;
    },
    end: (status, received) => say(`end  ${figureLine(status, received)}`),
  };
}

function jsonScreen(out: Write): DemoScreen {
  const say = (value: unknown): void => out(`${JSON.stringify(value)}\n`);
  return {
    kind: 'json',
    say: (text) => say({ type: 'note', text }),
    progress: steppedProgress((text) => say({ type: 'progress', text })),
    begin: (beginning) => say({ type: 'begin', ...beginning }),
    event: (event) => say({ type: 'event', event }),
    picture: (path) => say({ type: 'picture', path }),
    table: (status, received) => say({ type: 'table', ...figures(status, received) }),
    end: (status, received) => say({ type: 'end', ...figures(status, received) }),
  };
}

const clearLine = '\r\x1b[K';

/** Events scroll by; the table stays at the bottom. */
function tableScreen(out: Write): DemoScreen {
  let drawn = 0;
  let rows: readonly string[] = [];
  const erase = (): void => {
    if (drawn > 0) out(`\x1b[${drawn}A\r\x1b[J`);
    drawn = 0;
  };
  const draw = (): void => {
    if (rows.length > 0) out(`${rows.join('\n')}\n`);
    drawn = rows.length;
  };
  const say = (line: string): void => {
    erase();
    out(`${clearLine}${line.slice(0, Math.max(40, (process.stdout.columns ?? 120) - 1))}\n`);
    draw();
  };
  return {
    kind: 'table',
    say,
    progress(what, progress) {
      out(clearLine + progressText(what, progress));
      if (progress.totalBytes !== undefined && progress.receivedBytes >= progress.totalBytes) out('\n');
    },
    begin: ({ video, model, broker }) =>
      say(`Outpost demo   camera ${video}   model ${model}   broker ${broker}   (Ctrl-C ends it)\n`),
    event: (event) => say(eventLine(event)),
    picture: (path) => say(`picture of the first event: ${path}`),
    table(status, received) {
      erase();
      rows = tableRows(status, received);
      draw();
    },
    end(status, received) {
      erase();
      rows = tableRows(status, received);
      draw();
    },
  };
}

function tableRows(status: Status, received: number): readonly string[] {
  const { camera, framesPerSecond, ageMsP50, ageMsP99, tracks, events, outboxDepth, published, acknowledged } = figures(
    status,
    received,
  );
  const cells: readonly (readonly [string, string])[] = [
    ['camera', String(camera)],
    ['frames/s', String(framesPerSecond)],
    ['age ms p50/p99', `${ageMsP50}/${ageMsP99}`],
    ['tracks', String(tracks)],
    ['events', String(events)],
    ['outbox', String(outboxDepth)],
    ['published', String(published)],
    ['acknowledged', String(acknowledged)],
    ['received', String(received)],
  ];
  const widths = cells.map(([head, value]) => Math.max(head.length, value.length));
  const row = (index: 0 | 1): string =>
    cells.map((cell, column) => cell[index].padStart(widths[column] ?? 0)).join(' │ ');
  return [
    '─'.repeat(row(0).length),
    row(0),
    row(1),
    ...conditionLines(status).map((line) => line.slice(0, Math.max(40, (process.stdout.columns ?? 120) - 1))),
  ];
}
