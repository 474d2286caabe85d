/** From an address to a database; what one is made of is imported only when it is used. */
import { OutpostError } from '#agent/core/errors.ts';
import type { Access, SinkDatabase } from './database.ts';

/**
 * @param url `postgres://…`, or `sqlite:FILE`
 * @param access `read` refuses a database that a sink of another version made, and changes nothing
 * @throws OutpostError `sink-database-…`
 */
export async function openDatabase(url: string, access: Access): Promise<SinkDatabase> {
  if (/^postgres(ql)?:\/\//.test(url)) {
    const { openPostgres } = await import('./postgres.ts');
    return await openPostgres(url, access);
  }
  const [, file] = /^sqlite:(?:\/\/)?(.+)$/.exec(url) ?? [];
  if (file !== undefined) {
    const { openSqliteDatabase } = await import('./sqlite.ts');
    return openSqliteDatabase(file, access);
  }
  throw new OutpostError('sink-database-url');
}
