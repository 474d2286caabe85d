/**
 * MOTChallenge text: one box a line, `frame,id,x,y,w,h,score[,…]`, frames and pixels from 1.
 * (L. Leal-Taixé et al., "MOTChallenge 2015", arXiv:1504.01942, section 3.1.)
 */
import { OutpostError } from '#agent/core/errors.ts';

export interface MotRow {
  readonly frame: number;
  /** -1 in files of detections. */
  readonly id: number;
  /** Pixels; upper left corner and size. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** A detector's score; in truth, 0 marks a row that is not to be counted. */
  readonly score: number;
}

/** More frames than a week at 30 frames/s are a mistake. */
const greatestFrame = 20_000_000;

/**
 * @param file names the text in errors
 * @throws OutpostError `mot-garbled`, naming file and line
 */
export function parseMot(text: string, file: string): MotRow[] {
  const rows: MotRow[] = [];
  text.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === '') return;
    const row = parseRow(line);
    if (typeof row === 'string') {
      throw new OutpostError('mot-garbled', `${file}, line ${index + 1}: ${row}`, {
        context: { file, line: index + 1 },
      });
    }
    rows.push(row);
  });
  return rows;
}

/** @returns what is wrong, when it is no row */
function parseRow(line: string): MotRow | string {
  const cells = line.split(/[\s,]+/).filter((cell) => cell !== '');
  if (cells.length < 6) return `${cells.length} values instead of at least 6 (frame, id, x, y, w, h)`;
  const values = cells.slice(0, 7).map(Number);
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) return `${JSON.stringify(cells[wrong]?.slice(0, 40))} is not a number`;
  const [frame = 0, id = 0, x = 0, y = 0, width = 0, height = 0, score = 1] = values;
  if (!Number.isInteger(frame) || frame < 1 || frame > greatestFrame)
    return `frame ${frame} is not a whole number from 1`;
  if (!Number.isInteger(id)) return `id ${id} is not a whole number`;
  if (width <= 0 || height <= 0) return `a box of ${width} x ${height}`;
  return { frame, id, x, y, width, height, score };
}

/** One line, without its end. Pixels with two decimals. */
export const formatMot = ({ frame, id, x, y, width, height, score }: MotRow): string =>
  `${frame},${id},${x.toFixed(2)},${y.toFixed(2)},${width.toFixed(2)},${height.toFixed(2)},${score.toFixed(4)},-1,-1,-1`;
