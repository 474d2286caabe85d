/**
 * What one part of the configuration says of another: names that must exist, and ids that must be their own.
 *
 * It reads the data as it was written, so that a fault elsewhere hides none of this.
 */
import { nearest, type Complaint } from './issues.ts';
import { isPlain, listOf, type Path, type Plain } from './path.ts';
import { type PowerConfig, powerSchema } from './power.ts';
import { ruleSchema } from './rule.ts';
import { visionSchema } from './schema.ts';

export function referenceComplaints(data: Plain): readonly Complaint[] {
  const cameras = listOf(data['cameras']).filter(isPlain);
  const labels = trackedLabels(data['vision']);
  return [
    ...doubledIds(data['cameras'], ['cameras'], 'camera'),
    ...cameras.flatMap((camera, index) => [
      ...doubledIds(camera['zones'], ['cameras', index, 'zones'], 'zone of this camera'),
      ...doubledIds(camera['lines'], ['cameras', index, 'lines'], 'line of this camera'),
    ]),
    ...doubledIds(data['peripherals'], ['peripherals'], 'peripheral'),
    ...doubledIds(data['rules'], ['rules'], 'rule'),
    ...listOf(data['rules']).flatMap((rule, index) =>
      peripheralComplaints(rule, ['rules', index], idsOf(data['peripherals'])),
    ),
    ...listOf(data['rules']).flatMap((rule, index) =>
      isPlain(rule) ? ruleComplaints(rule, ['rules', index], cameras, labels) : [],
    ),
    ...voiceComplaints(data),
    ...powerComplaints(data),
    ...uplinkComplaints(data['uplink']),
    ...evidenceComplaints(data['evidence']),
  ];
}

function doubledIds(list: unknown, path: Path, what: string): Complaint[] {
  const seen = new Set<string>();
  return listOf(list).flatMap((item, index) => {
    const id = isPlain(item) ? item['id'] : undefined;
    if (typeof id !== 'string') return [];
    if (!seen.has(id)) {
      seen.add(id);
      return [];
    }
    return [{ path: [...path, index, 'id'], message: `is the id of another ${what} already` }];
  });
}

function ruleComplaints(
  rule: Plain,
  path: Path,
  cameras: readonly Plain[],
  tracked: readonly string[] | undefined,
): Complaint[] {
  const named = listOf(rule['cameras']).filter((id) => typeof id === 'string');
  const known = idsOf(cameras);
  const unknownCameras = listOf(rule['cameras']).flatMap((id, index) =>
    typeof id !== 'string' || known.includes(id)
      ? []
      : [{ path: [...path, 'cameras', index], message: 'is not a camera here', ...orNear(id, known) }],
  );
  const watched = named.length === 0 ? cameras : cameras.filter(({ id }) => named.includes(String(id)));
  return [
    ...unknownCameras,
    ...placeComplaints(rule, path, 'zone', watched, named.length > 0),
    ...placeComplaints(rule, path, 'line', watched, named.length > 0),
    ...labelComplaints(rule, path, tracked),
  ];
}

/** The peripherals that a rule speaks of. */
function peripheralComplaints(rule: unknown, path: Path, known: readonly string[]): Complaint[] {
  const named = isPlain(rule) ? listOf(rule['peripherals']) : [];
  return named.flatMap((name, index) =>
    typeof name !== 'string' || known.includes(name)
      ? []
      : [{ path: [...path, 'peripherals', index], message: 'is not a peripheral here', ...orNear(name, known) }],
  );
}

const unknownIds = (
  names: readonly { readonly at: Path; readonly name: unknown }[],
  known: readonly string[],
  what: string,
): Complaint[] =>
  names.flatMap(({ at, name }) =>
    typeof name !== 'string' || known.includes(name)
      ? []
      : [{ path: at, message: `is not a ${what} here`, ...orNear(name, known) }],
  );

/** The peripherals and rules that announcements speak of. */
function voiceComplaints(data: Plain): Complaint[] {
  const voice = data['voice'];
  if (!isPlain(voice)) return [];
  const base: Path = ['voice', 'announcements'];
  const named = (list: 'with' | 'on', key: string): { at: Path; name: unknown }[] =>
    listOf(voice['announcements']).flatMap((announcement, index) =>
      listOf(isPlain(announcement) ? announcement[list] : []).map((item, place) => ({
        at: [...base, index, list, place, key],
        name: isPlain(item) ? item[key] : undefined,
      })),
    );
  return [
    ...doubledIds(voice['announcements'], base, 'announcement'),
    ...unknownIds(named('with', 'peripheral'), idsOf(data['peripherals']), 'peripheral'),
    ...unknownIds(named('on', 'rule'), idsOf(data['rules']), 'rule'),
  ];
}

function powerComplaints(data: Plain): Complaint[] {
  const power = data['power'];
  if (!isPlain(power)) return [];
  const parsed = powerSchema.safeParse(power);
  const own = parsed.success ? delayComplaints(parsed.data) : [];
  return [
    ...own,
    ...unknownIds([{ at: ['power', 'ups'], name: power['ups'] }], idsOf(data['peripherals']), 'peripheral'),
  ];
}

/** A UPS counts in tenths of a minute below one, and in minutes above. */
function delayComplaints({ cut, ups, delay, return: back }: PowerConfig): Complaint[] {
  const isDelay = (delay >= 12_000 && delay <= 54_000 && delay % 6_000 === 0) || isMinutes(delay, 10);
  return [
    ...(cut && ups === undefined ? [{ path: ['power', 'cut'], message: 'needs power.ups too' }] : []),
    ...(isDelay
      ? []
      : [{ path: ['power', 'delay'], message: 'must be 12s to 54s in steps of 6s, or whole minutes from 1m to 10m' }]),
    ...(isMinutes(back, 9_999)
      ? []
      : [{ path: ['power', 'return'], message: 'must be whole minutes from 1m to 9999m' }]),
  ];
}

const isMinutes = (ms: number, most: number): boolean => ms % 60_000 === 0 && ms >= 60_000 && ms <= most * 60_000;

/** The zone or line that a rule speaks of: on each camera that it names, or on one at least when it names none. */
function placeComplaints(
  rule: Plain,
  path: Path,
  key: 'zone' | 'line',
  cameras: readonly Plain[],
  onEach: boolean,
): Complaint[] {
  const name = rule[key];
  if (typeof name !== 'string') return [];
  const lacking = cameras.filter((camera) => !idsOf(camera[`${key}s`]).includes(name));
  if (onEach ? lacking.length === 0 : lacking.length < cameras.length) return [];
  const where = onEach ? `camera ${lacking.map(({ id }) => String(id)).join(', ')}` : 'any camera';
  const known = (onEach ? lacking : cameras).flatMap((camera) => idsOf(camera[`${key}s`]));
  return [{ path: [...path, key], message: `is not a ${key} of ${where}`, ...orNear(name, [...new Set(known)]) }];
}

function labelComplaints(rule: Plain, path: Path, tracked: readonly string[] | undefined): Complaint[] {
  const parsed = ruleSchema.safeParse(rule);
  const labels = parsed.success ? ('labels' in parsed.data ? parsed.data.labels : []) : listOf(rule['labels']);
  return labels.flatMap((label, index) => {
    if (typeof label !== 'string' || !tracked || tracked.includes(label)) return [];
    const at = rule['labels'] === undefined ? ['labels'] : ['labels', index];
    const near = nearest(label, tracked);
    const hint = near === undefined ? `add ${label} to vision.labels` : `did you mean ${near}?`;
    return [{ path: [...path, ...at], message: `${label} is not tracked`, hint }];
  });
}

function uplinkComplaints(uplink: unknown): Complaint[] {
  return together(
    uplink,
    ['uplink'],
    [
      ['certificate', 'key'],
      ['key', 'certificate'],
      ['password', 'username'],
    ],
  );
}

function evidenceComplaints(evidence: unknown): Complaint[] {
  if (!isPlain(evidence) || evidence['server'] === undefined) return [];
  const path = ['evidence', 'server'];
  const isIdle = evidence['upload'] !== true;
  return [
    ...(isIdle ? [{ path, message: 'is used with evidence.upload: true alone' }] : []),
    ...together(evidence['server'], path, [
      ['certificate', 'key'],
      ['key', 'certificate'],
    ]),
  ];
}

/** What is of no use without another. */
function together(section: unknown, path: Path, pairs: readonly (readonly [given: string, needed: string])[]) {
  if (!isPlain(section)) return [];
  return pairs.flatMap(([given, needed]): Complaint[] =>
    section[given] !== undefined && section[needed] === undefined
      ? [{ path: [...path, given], message: `needs ${[...path, needed].join('.')} too` }]
      : [],
  );
}

function trackedLabels(vision: unknown): readonly string[] | undefined {
  const parsed = visionSchema.safeParse(vision ?? {});
  return parsed.success ? parsed.data.labels : undefined;
}

const idsOf = (list: unknown): string[] =>
  listOf(list).flatMap((item) => (isPlain(item) && typeof item['id'] === 'string' ? [item['id']] : []));

function orNear(word: string, known: readonly string[]): { hint: string } {
  const near = nearest(word, known);
  if (near !== undefined) return { hint: `did you mean ${near}?` };
  return { hint: known.length === 0 ? 'there are none yet' : `there are: ${known.slice(0, 12).join(', ')}` };
}
