/** The rules of the house that matter, as tests; each can fail, and is shown to. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorCodes } from './core/error-codes.ts';
import { healthCodes } from './core/health.ts';
import { engineFlags } from './core/program.ts';
import { version } from './core/version.ts';
import { staleFiles } from './cli/generate.ts';

const root = join(import.meta.dirname, '..');

interface Source {
  readonly path: string;
  readonly text: string;
}

interface Import {
  readonly from: string;
  /** A file of ours, from the root; or a package. */
  readonly to: string;
  readonly isOurs: boolean;
  readonly isTypeOnly: boolean;
}

const tracked: readonly string[] = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path.length > 0 && existsSync(join(root, path)));
const read = (path: string): Source => ({ path, text: readFileSync(join(root, path), 'utf8') });
const sources = tracked.filter((path) => path.endsWith('.ts')).map(read);
const isTest = ({ path }: Source): boolean =>
  /\.test\.ts$|\/test-rig\.ts$/.test(path) ||
  path.startsWith('agent/testing/') ||
  path.startsWith('agent/scenarios/') ||
  path.startsWith('agent/faults/') ||
  path.startsWith('packaging/binary/') ||
  /^drivers\/conformance(\.ts$|\/)/.test(path) ||
  path.startsWith('.config/');
const product = sources.filter((source) => !isTest(source));

/** Code without comments and without the insides of strings. */
const code = (text: string): string =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''");

function importsOf({ path, text }: Source): readonly Import[] {
  const found = [
    ...text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm),
    ...text.matchAll(/(?<![\w.])(typeof\s+)?import\('([^']+)'\)/g),
  ];
  return found.map(([, isType, name = '']) => {
    const isOurs = name.startsWith('.') || name.startsWith('#');
    const to = name.startsWith('#')
      ? name.slice(1)
      : name.startsWith('.')
        ? normalize(join(dirname(path), name))
        : name;
    return { from: path, to, isOurs, isTypeOnly: isType !== undefined };
  });
}

const floors: readonly (readonly [RegExp, number])[] = [
  [/^agent\/core\//, 1],
  [/^agent\/domain\//, 2],
  [/^(config|models|drivers)\//, 3],
  [/^agent\/(annotation|sight|opening|outpost|replay|inference|threads)\.ts$/, 5],
  [/^agent\/cli\/|^agent\/main\.ts$|^packaging\//, 6],
  [/^agent\/[a-z]+\//, 4],
];
const floorOf = (path: string): number | undefined => floors.find(([pattern]) => pattern.test(path))?.[1];
const roomOf = (path: string): string => /^(agent\/[a-z]+|config|models|drivers|packaging)\//.exec(path)?.[1] ?? path;

/** Doors that HOUSE grants beyond the floors. */
const granted = ({ from, to, isTypeOnly }: Import): boolean =>
  (isTypeOnly && to.startsWith('config/')) ||
  (from.startsWith('agent/vision/') && to.startsWith('models/')) ||
  (from.startsWith('agent/peripherals/') && to.startsWith('drivers/'));

function floorBreaks(imports: readonly Import[]): readonly string[] {
  return imports
    .filter(({ isOurs }) => isOurs)
    .filter((entry) => {
      const [from, to] = [floorOf(entry.from), floorOf(entry.to)];
      if (from === undefined || to === undefined) return true;
      const isSameRoom = roomOf(entry.from) === roomOf(entry.to);
      if (isSameRoom || to < from) {
        const isRoomToSection = from === 4 && to === 3 && !isSameRoom;
        return isRoomToSection && !granted(entry);
      }
      return (
        !(to === from && (from >= 5 || isSameRoom)) &&
        !entry.from.endsWith('agent/main.ts') &&
        !(from === 1 && entry.isTypeOnly)
      );
    })
    .map(({ from, to }) => `${from} -> ${to}`);
}

/** Which file or folder may import a library that does I/O. */
const doors: readonly (readonly [library: RegExp, from: RegExp])[] = [
  [/^onnxruntime-node/, /^agent\/vision\/session\.ts$|^packaging\//],
  [/^mqtt/, /^agent\/core\/mqtt\.ts$/],
  [/^better-sqlite3/, /^agent\/core\/sqlite\.ts$|^packaging\//],
  [/^sharp$/, /^agent\/core\/sharp\.ts$|^packaging\//],
  [/^serialport/, /^drivers\//],
  [/^aedes$/, /^agent\/cli\/demo-broker\.ts$/],
  [/^prom-client$/, /^agent\/core\/metrics\.ts$/],
  [/^pino$/, /^agent\/core\/log\.ts$/],
  [/^systeminformation$/, /^agent\/core\//],
];
const doorBreaks = (imports: readonly Import[]): readonly string[] =>
  imports
    .filter(
      ({ from, to, isTypeOnly }) =>
        !isTypeOnly && doors.some(([library, allowed]) => library.test(to) && !allowed.test(from)),
    )
    .map(({ from, to }) => `${from} -> ${to}`);

/** What only its owner may touch, with the owner. */
const owned: readonly (readonly [what: RegExp, owner: RegExp])[] = [
  [/\bDate\.now\b|\bnew Date\(\)/, /^agent\/core\/clock\.ts$|^packaging\//],
  [/\bset(Timeout|Interval)\(/, /^agent\/core\/clock\.ts$|^packaging\//],
  [/\bMath\.random\b/, /^agent\/core\/random\.ts$/],
  // the library's switches and the folders that the system names; each file says why
  [
    /\bprocess\.env\b/,
    /^agent\/main\.ts$|^agent\/vision\/session\.ts$|^models\/|^agent\/capture\/ffmpeg\.ts$|^agent\/core\/program\.ts$|^agent\/core\/(notify|cache-folder)\.ts$|^packaging\//,
  ],
  [/\bconsole\./, /^packaging\//],
  [/\bas any\b|: any\b|@ts-ignore|@ts-expect-error/, /^$/],
];
const ownershipBreaks = (from: readonly Source[]): readonly string[] =>
  from.flatMap(({ path, text }) =>
    owned
      .filter(([what, owner]) => what.test(code(text)) && !owner.test(path))
      .map(([what]) => `${path}: ${what.source}`),
  );

/** Cycles among files, values and types alike, as the path that closes. */
function cycles(imports: readonly Import[]): readonly string[] {
  const next = new Map<string, readonly string[]>();
  for (const { from, to, isOurs, isTypeOnly } of imports)
    if (isOurs && !isTypeOnly) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const to of next.get(path) ?? []) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const path of next.keys()) visit(path, []);
  return found;
}

const headless = (from: readonly Source[]): readonly string[] =>
  from.filter(({ text }) => !/^(#!.*\n)?(\/\*\*|\/\/)/.test(text)).map(({ path }) => path);

const leaks = (from: readonly Source[]): readonly string[] =>
  from
    .filter(({ path }) => path !== 'agent/laws.test.ts')
    .flatMap(({ path, text }) =>
      [/\/work\/|\/tmp\/brief|\/root\//, /registry\.npm|deb\.debian\.org|npmmirror/, /\.\.\/shared/]
        .filter((pattern) => pattern.test(text))
        .filter(
          (pattern) =>
            !(pattern.source.includes('shared') && (path === 'agent/testing/testdata.ts' || path === '.ci/run')),
        )
        .map((pattern) => `${path}: ${pattern.source}`),
    );

/** Paths in a page's code marks that are not in the repository. */
const missingPaths = (page: string): readonly string[] =>
  [...page.matchAll(/`((?:agent|models|config|packaging)\/[^`\s]+)`/g)]
    .map(([, path = '']) => path)
    .filter((path) => !existsSync(join(root, path)));

const imports = product.flatMap(importsOf);

describe('floors', () => {
  it('imports go only downwards, and rooms never import each other', () => {
    expect(floorBreaks(imports)).toEqual([]);
  });

  it('would find a break', () => {
    const broken = importsOf({
      path: 'agent/rules/x.ts',
      text: "import { a } from '#agent/outbox/outbox.ts';\nimport { b } from '#config/load.ts';",
    });
    expect(floorBreaks(broken)).toHaveLength(2);
    expect(
      floorBreaks(importsOf({ path: 'agent/core/x.ts', text: "import { a } from '#agent/domain/box.ts';" })),
    ).toHaveLength(1);
    expect(
      floorBreaks(importsOf({ path: 'agent/vision/x.ts', text: "import { a } from '#models/model.ts';" })),
    ).toEqual([]);
  });

  it('has no cycles', () => {
    expect(cycles(imports)).toEqual([]);
  });

  it('would find a cycle', () => {
    const ring = [
      { path: 'agent/core/a.ts', text: "import { b } from './b.ts';" },
      { path: 'agent/core/b.ts', text: "import { a } from './a.ts';" },
    ].flatMap(importsOf);
    expect(cycles(ring)).toEqual(['agent/core/a.ts -> agent/core/b.ts -> agent/core/a.ts']);
  });

  it('keeps test support out of the product', () => {
    const wrong = imports.filter(
      ({ to }) => to.startsWith('agent/testing/') || to.startsWith('agent/scenarios/') || to === 'vitest',
    );
    expect(wrong).toEqual([]);
  });
});

describe('the engine', () => {
  it('is set the same by every way of starting', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Readonly<Record<string, string>>;
    };
    const starting = Object.values(scripts).filter((script) => script.includes('agent/main.ts'));
    expect(starting.length).toBeGreaterThan(3);
    expect(starting.filter((script) => !script.includes(`node ${engineFlags.join(' ')} agent/main.ts`))).toEqual([]);
  });
});

describe('doors', () => {
  it('every library with I/O has one', () => {
    expect(doorBreaks(imports)).toEqual([]);
  });

  it('would find a second one', () => {
    expect(
      doorBreaks(importsOf({ path: 'agent/rules/x.ts', text: "const ort = await import('onnxruntime-node');" })),
    ).toHaveLength(1);
  });

  it('time, chance, environment and console have their owners', () => {
    expect(ownershipBreaks(product)).toEqual([]);
  });

  it('would find a trespass', () => {
    const text = '// Date.now in a comment\nconst a = Date.now();\nsetTimeout(f, 5);\nconst b: any = 1;';
    expect(ownershipBreaks([{ path: 'agent/rules/x.ts', text }])).toHaveLength(3);
    expect(ownershipBreaks([{ path: 'agent/rules/x.ts', text: "/* Date.now */ const a = 'console.log';" }])).toEqual(
      [],
    );
  });
});

describe('registries and tables', () => {
  it('every model folder is known', () => {
    const folders = new Set(
      tracked.filter((path) => /^models\/[^/]+\/manifest\.json$/.test(path)).map((path) => path.split('/')[1]),
    );
    const registry = read('models/registry.ts').text;
    expect([...folders].filter((name) => !registry.includes(`'${name}'`))).toEqual([]);
    expect(folders.size).toBeGreaterThan(0);
  });

  it('every driver folder is known, and whole', () => {
    const folders = tracked
      .filter((path) => /^drivers\/[^/]+\/manifest\.ts$/.test(path))
      .map((path) => path.split('/')[1])
      // from which a driver begins
      .filter((name) => name !== 'template');
    const registry = read('drivers/registry.ts').text;
    expect(folders.filter((name) => !registry.includes(`'./${name}/driver.ts'`))).toEqual([]);
    const parts = ['codec.ts', 'driver.ts', 'simulator.ts', 'vectors.json', 'README.md', `NAME.test.ts`];
    const wanted = folders.flatMap((name) =>
      parts.map((part) => `drivers/${name}/${part.replace('NAME', name ?? '')}`),
    );
    expect(wanted.filter((path) => !tracked.includes(path))).toEqual([]);
    expect(folders.length).toBeGreaterThan(0);
  });

  it('generated files are fresh', async () => {
    expect((await staleFiles()).map(({ path }) => path)).toEqual([]);
  });

  it('every error and health code is used, and every hint says something', () => {
    const users = product
      .filter(({ path }) => path !== 'agent/core/error-codes.ts' && path !== 'agent/core/health.ts')
      .map(({ text }) => text)
      .join('\n');
    const codes = [...Object.keys(errorCodes), ...Object.keys(healthCodes)];
    expect(codes.filter((name) => !users.includes(`'${name}'`))).toEqual([]);
    expect(
      Object.entries(errorCodes).filter(([, { hint, title }]) => hint.length < 10 || !title.endsWith('.')),
    ).toEqual([]);
  });
});

describe('pages and files', () => {
  it('every file begins with what it is for', () => {
    expect(headless(product)).toEqual([]);
    expect(headless([{ path: 'x.ts', text: 'const a = 1;' }])).toEqual(['x.ts']);
  });

  it('names no machine, no registry, and the test data in one place', () => {
    const texts = tracked
      .filter((path) => /\.(ts|mjs|json|md|sh|ya?ml)$|^\.|\/run$/.test(path) && path !== 'package-lock.json')
      .map(read);
    expect(leaks(texts)).toEqual([]);
    expect(leaks([{ path: 'x.ts', text: "join('/work/main')" }])).toHaveLength(1);
  });

  it('leaves no test alone or undone', () => {
    const wrong = sources.filter(
      ({ path, text }) => path !== 'agent/laws.test.ts' && /\b(it|test|describe)\.(only|todo|fails)\b/.test(text),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('SECURITY.md has every requirement once, and names only what is there', () => {
    const page = read('SECURITY.md').text;
    const numbers = [...page.matchAll(/^\|\s+(\d+)\s+\|/gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 45 }, (_, index) => index + 1));
    expect(missingPaths(page)).toEqual([]);
    expect(missingPaths('see `agent/no/such.test.ts` and `agent/core/errors.ts`')).toEqual(['agent/no/such.test.ts']);
  });

  it('every decision is in its list, and every record in the list is there', () => {
    const records = tracked.filter((path) => /^agent\/decisions\/\d+-/.test(path)).map((path) => path.split('/')[2]);
    const listed = [...read('agent/decisions/README.md').text.matchAll(/\]\((\d+-[^)]+)\)/g)].map(([, name]) => name);
    expect(new Set(listed)).toEqual(new Set(records));
  });

  it('says one version', () => {
    const { version: published } = JSON.parse(read('package.json').text) as { version: string };
    expect(version).toBe(published);
  });

  it('has no room for odds and ends', () => {
    const odd = tracked.filter((path) =>
      /(^|\/)(utils?|helpers?|common|types|misc)(\/|\.ts$)|(^|\/)index\.ts$/.test(path),
    );
    expect(odd).toEqual([]);
  });
});
