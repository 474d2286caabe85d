/**
 * Plain data into a Config, or everything that is wrong with it at once.
 *
 *   data --schema--> complaints --+
 *   data --references------------+--> Config or complaints
 */
import { type Complaint, complaintsOf } from './issues.ts';
import { pathText, type Plain } from './path.ts';
import { referenceComplaints } from './references.ts';
import { type Config, configSchema, type ConfigSchema } from './schema.ts';

/** A hostile file can be wrong in a million places; nobody reads more than these. */
const maxComplaints = 100;

export type CheckedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly complaints: readonly Complaint[] };

export function checkConfig(data: Plain, schema: ConfigSchema = configSchema): CheckedConfig {
  const parsed = schema.safeParse(data);
  const issues = parsed.error?.issues.slice(0, maxComplaints) ?? [];
  const found = [...issues.flatMap((issue) => complaintsOf(issue, schema, data)), ...referenceComplaints(data)];
  const distinct = new Map(found.map((complaint) => [`${pathText(complaint.path)} ${complaint.message}`, complaint]));
  const complaints = [...distinct.values()].slice(0, maxComplaints);
  return parsed.success && complaints.length === 0 ? { ok: true, config: parsed.data } : { ok: false, complaints };
}
