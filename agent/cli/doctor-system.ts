/** What `doctor` looks at in the system around the program: C library, /proc, fonts, locale, terminal. */
import type { Finding, Verdict } from './doctor-finding.ts';

/** What the native libraries of the binary are built against. */
const oldestGlibc = [2, 28] as const;
const fontFolders = ['/usr/share/fonts', '/usr/local/share/fonts'];
const hasChinese = /cjk|wqy|droidsansfallback|uming|ukai|notosanssc|sourcehansans|simsun|fzhei|fzsong/i;

const finding = (check: string, verdict: Verdict, detail: string, hint?: string): readonly Finding[] => [
  { check, verdict, detail, ...(hint === undefined || verdict === 'ok' ? {} : { hint }) },
];

export async function checkGlibc(): Promise<readonly Finding[]> {
  // Else it asks for the names of the network's peers.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const { header } = (await Promise.resolve(process.report.getReport())) as {
    header?: { glibcVersionRuntime?: string };
  };
  const version = header?.glibcVersionRuntime;
  if (version === undefined) return finding('glibc', 'warn', 'this system does not tell its C library');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNewEnough = major > oldestGlibc[0] || (major === oldestGlibc[0] && minor >= oldestGlibc[1]);
  const hint = 'Use a system with glibc 2.28 or newer: Kylin V10, Debian 10, openEuler 20.03.';
  return finding('glibc', isNewEnough ? 'ok' : 'fail', `glibc ${version}`, hint);
}

export async function checkProc(): Promise<readonly Finding[]> {
  const { access } = await import('node:fs/promises');
  const isThere = await access('/proc/self/status').then(
    () => true,
    () => false,
  );
  if (isThere) return finding('proc', 'ok', '/proc is mounted');
  const detail = '/proc is not mounted: memory is not watched, and the processor’s features are not known';
  return finding('proc', 'warn', detail, 'mount -t proc proc /proc');
}

/** Captions on pictures are drawn with what fontconfig finds. */
export async function checkFont(): Promise<readonly Finding[]> {
  const listed = await ask('fc-list', [':lang=zh', 'family']);
  const [family] = listed?.split('\n') ?? [];
  if (family) return finding('font', 'ok', family);
  const { readdir } = await import('node:fs/promises');
  const names = await Promise.all(
    fontFolders.map(async (folder) => await readdir(folder, { recursive: true }).catch(() => [])),
  );
  const found = names.flat().find((name) => hasChinese.test(name.split('/').at(-1) ?? ''));
  if (found !== undefined) return finding('font', 'ok', found);
  const hint = 'apt-get install fonts-noto-cjk, or dnf install google-noto-sans-cjk-ttc-fonts';
  return finding('font', 'warn', 'no font has Chinese: captions on pictures show boxes', hint);
}

export async function checkLocale(): Promise<readonly Finding[]> {
  const charmap = (await ask('locale', ['charmap']))?.trim();
  if (charmap === undefined || charmap === '') return finding('locale', 'warn', 'unknown', 'export LC_ALL=C.UTF-8');
  if (charmap === 'UTF-8') return finding('locale', 'ok', charmap);
  const detail = `${charmap}: this terminal may show Chinese names wrong; Outpost itself always writes UTF-8`;
  return finding('locale', 'warn', detail, 'export LC_ALL=C.UTF-8');
}

export const checkTerminal = (): readonly Finding[] =>
  finding('terminal', 'ok', process.stdout.isTTY ? 'a terminal' : 'none: plain lines are written');

/** @returns stdout; undefined when the program is not there, or fails */
export async function ask(program: string, args: readonly string[]): Promise<string | undefined> {
  const { execFile } = await import('node:child_process');
  return await new Promise((resolve) => {
    execFile(program, [...args], { timeout: 5_000 }, (error, stdout) => resolve(error ? undefined : stdout));
  });
}
