/** All measures of one sequence, and their mean over several. */
import { type ClearMot, clearMot } from './clear-mot.ts';
import { type Hota, hota } from './hota.ts';
import { type IdentityMeasures, identityMeasures } from './identity.ts';
import type { Sequence } from './sequence.ts';

/** Parts of one, and counts. A part of nothing is NaN (null in JSON). */
export type TrackingMeasures = ClearMot & IdentityMeasures & Omit<Hota, 'hotaByAlpha'>;

export function trackingMeasures(sequence: Sequence): TrackingMeasures {
  const { hotaByAlpha: _curve, ...higherOrder } = hota(sequence);
  return { ...clearMot(sequence), ...identityMeasures(sequence), ...higherOrder };
}

/** Each measure's mean, counts too. */
export function meanMeasures(runs: readonly TrackingMeasures[]): TrackingMeasures {
  const names = Object.keys(runs[0] ?? {}) as (keyof TrackingMeasures)[];
  return Object.fromEntries(
    names.map((name) => [name, runs.reduce((sum, run) => sum + run[name], 0) / runs.length]),
  ) as unknown as TrackingMeasures;
}

/** Rows for a table: head first. In the order and with the names of py-motmetrics, HOTA after them. */
export function measuresTable(
  runs: readonly { readonly name: string; readonly measures: TrackingMeasures }[],
): string[][] {
  return [
    ['', ...columns.map(([title]) => title)],
    ...runs.map(({ name, measures }) => [name, ...columns.map(([, key, format]) => format(measures[key]))]),
  ].map((row, _index, rows) =>
    // Numbers end under their heads.
    row.map((cell, column) =>
      column === 0 ? cell : cell.padStart(Math.max(...rows.map((other) => other[column]?.length ?? 0))),
    ),
  );
}

const percent = (value: number): string => (Number.isNaN(value) ? '-' : `${(value * 100).toFixed(1)}%`);
const count = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));
const distance = (value: number): string => (Number.isNaN(value) ? '-' : value.toFixed(3));

const columns: readonly (readonly [title: string, key: keyof TrackingMeasures, format: (value: number) => string])[] = [
  ['IDF1', 'idf1', percent],
  ['IDP', 'idPrecision', percent],
  ['IDR', 'idRecall', percent],
  ['Rcll', 'recall', percent],
  ['Prcn', 'precision', percent],
  ['GT', 'objects', count],
  ['MT', 'mostlyTracked', count],
  ['PT', 'partlyTracked', count],
  ['ML', 'mostlyLost', count],
  ['FP', 'falsePositives', count],
  ['FN', 'misses', count],
  ['IDs', 'switches', count],
  ['FM', 'fragmentations', count],
  ['MOTA', 'mota', percent],
  ['MOTP', 'motp', distance],
  ['HOTA', 'hota', percent],
  ['DetA', 'detA', percent],
  ['AssA', 'assA', percent],
  ['LocA', 'locA', percent],
];
