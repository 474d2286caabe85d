/** The error codes for people, generated from their table. */
import { type ErrorEntry, type ErrorKind, errorCodes } from './error-codes.ts';

const kinds: Readonly<Record<ErrorKind, string>> = {
  config: 'the operator: the configuration or an input is wrong; it is refused, and the last good one stays',
  peer: 'a device or a server: it is reset, or asked again',
  transient: 'nobody: it is tried again',
  limit: 'nobody: a limit was reached, and load is shed in the declared order',
  bug: 'us: report it; the service is started again',
  fatal: 'nobody can go on: the program ends',
};

/** `agent/core/ERRORS.md` */
export function errorReference(): string {
  const entries = Object.entries<ErrorEntry>(errorCodes).sort(([a], [b]) => a.localeCompare(b, 'en'));
  const sections = Object.entries(kinds).map(([kind, who]) => {
    const rows = entries.filter(([, entry]) => entry.kind === kind).map(([code, entry]) => row(code, entry));
    return rows.length === 0 ? '' : `${sectionHead(kind, who)}\n${rows.join('\n')}\n`;
  });
  return `${head}${sections.join('')}`;
}

const head = `# Error codes

Generated from agent/core/error-codes.ts by \`npm run generate\`; do not edit.

Every error has a code and a kind. The kind says who must act, and decides the exit code of a command
(\`outpost --help\` lists them).
`;

const sectionHead = (kind: string, who: string): string =>
  `\n## ${kind}\n\nWho must act: ${who}.\n\n| code | what | what to do |\n|---|---|---|`;

const row = (code: string, { title, hint }: ErrorEntry): string =>
  `| \`${code}\` | ${escaped(title)} | ${escaped(hint)} |`;

const escaped = (text: string): string => text.replaceAll('|', '\\|');
