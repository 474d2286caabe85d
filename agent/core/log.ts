/** Logs: NDJSON on stderr, a constant sentence and fields. Nothing about people, no credential, ever. */
import pino from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(sentence: string, fields?: LogFields): void;
  info(sentence: string, fields?: LogFields): void;
  warn(sentence: string, fields?: LogFields): void;
  error(sentence: string, fields?: LogFields): void;
  /** The same log with fields on every line. */
  with(fields: LogFields): Log;
}

export function createLog(level: LogLevel, fields: LogFields = {}): Log {
  const root = pino(
    {
      level,
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
  return fromPino(root);
}

/** Says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silentLog };

function fromPino(logger: pino.Logger): Log {
  return {
    debug: (sentence, fields) => logger.debug(plain(fields), sentence),
    info: (sentence, fields) => logger.info(plain(fields), sentence),
    warn: (sentence, fields) => logger.warn(plain(fields), sentence),
    error: (sentence, fields) => logger.error(plain(fields), sentence),
    with: (fields) => fromPino(logger.child(plain(fields))),
  };
}

/** Errors as fields that a reader can search: code, kind, message, hint, context. */
function plain(fields: LogFields = {}): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? errorFields(value) : value]),
  );
}

function errorFields(error: Error): Record<string, unknown> {
  const { name, message } = error;
  const own = Object.fromEntries(
    ['code', 'kind', 'hint', 'context'].flatMap((key) => (key in error ? [[key, (error as never)[key]]] : [])),
  );
  const isBug = own['kind'] === undefined || own['kind'] === 'bug';
  return {
    name,
    message,
    ...own,
    ...(isBug ? { stack: error.stack } : {}),
    ...(error.cause instanceof Error ? { cause: errorFields(error.cause) } : {}),
  };
}
