/**
 * True boxes as Pascal VOC writes them: one XML a picture, pixels from 1, the last one included.
 * (Everingham and Winn, "The PASCAL VOC 2012 Development Kit", section 5.)
 */
import type { TrueObject } from './detection.ts';

/** VOC's names where COCO has others. */
const cocoNames: Readonly<Record<string, string>> = {
  aeroplane: 'airplane',
  motorbike: 'motorcycle',
  sofa: 'couch',
  tvmonitor: 'tv',
  diningtable: 'dining table',
  pottedplant: 'potted plant',
};

/** A file of truth is short; anything longer is something else. */
export const maxVocBytes = 1024 ** 2;

/** @returns the objects with COCO's names, or what is wrong with the text */
export function parseVoc(xml: string): TrueObject[] | string {
  if (xml.length > maxVocBytes) return `it has more than ${maxVocBytes} characters`;
  if (!/<annotation[\s>]/.test(xml)) return 'it has no <annotation>';
  const size = inside(xml, 'size') ?? '';
  const width = number(size, 'width');
  const height = number(size, 'height');
  if (!(width !== undefined && width > 0 && height !== undefined && height > 0)) return 'its <size> has no area';
  const objects: TrueObject[] = [];
  for (const [index, part] of xml.split('<object>').slice(1).entries()) {
    const object = parseObject(part.split('</object>', 1)[0] ?? '', width, height);
    if (typeof object === 'string') return `object ${index + 1}: ${object}`;
    objects.push(object);
  }
  return objects;
}

function parseObject(text: string, width: number, height: number): TrueObject | string {
  // Parts of an object, such as a head, have names and boxes of their own.
  const own = text.split('<part>', 1)[0] ?? '';
  const name = inside(own, 'name')?.trim();
  if (name === undefined || name === '') return 'it has no <name>';
  const corners = ['xmin', 'ymin', 'xmax', 'ymax'].map((tag) => number(inside(own, 'bndbox') ?? '', tag));
  const [left, top, right, bottom] = corners;
  if (left === undefined || top === undefined || right === undefined || bottom === undefined) {
    return 'its <bndbox> lacks a side';
  }
  if (!(right >= left && bottom >= top)) return 'its <bndbox> is empty';
  return {
    label: cocoNames[name] ?? name,
    box: [(left - 1) / width, (top - 1) / height, right / width, bottom / height],
    difficult: inside(own, 'difficult')?.trim() === '1',
  };
}

/** Text of the first element of that name. */
function inside(xml: string, tag: string): string | undefined {
  const start = xml.indexOf(`<${tag}>`);
  if (start < 0) return undefined;
  const end = xml.indexOf(`</${tag}>`, start);
  return end < 0 ? undefined : xml.slice(start + tag.length + 2, end);
}

function number(xml: string, tag: string): number | undefined {
  const text = inside(xml, tag)?.trim();
  const value = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}
