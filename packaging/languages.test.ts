/** The Node that runs this, with fewer languages: what it still knows, what it does not, and that it runs at all. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cut, placeInFile } from './elf-cut.ts';
import { definedSymbol, readElf } from './elf.ts';
import { withoutLanguages } from './executable.ts';
import { isKept, keepLanguages, readPackage, writePackage } from './languages.ts';

const whole = readFileSync(process.execPath);
const symbol = definedSymbol(whole, /^icudt\d+_dat$/);
const place = placeInFile(whole, symbol.address);
const data = whole.subarray(place, place + symbol.bytes);

describe('a package of ICU', () => {
  test('is read, and written as it was', () => {
    const { header, items } = readPackage(data);
    expect(items.length).toBeGreaterThan(4000);
    const again = readPackage(writePackage(header, items));
    expect(again.items.map(({ name }) => name)).toEqual(items.map(({ name }) => name));
    expect(
      again.items.every(({ bytes }, index) =>
        bytes.subarray(0, items[index]?.bytes.length).equals(items[index]?.bytes ?? Buffer.alloc(0)),
      ),
    ).toBe(true);
  });

  test.each([
    ['icudt78l/en_GB.res', true],
    ['icudt78l/coll/zh.res', true],
    ['icudt78l/zone/root.res', true],
    ['icudt78l/lang/res_index.res', true],
    ['icudt78l/gb18030-2022.cnv', true],
    ['icudt78l/zoneinfo64.res', true],
    // Chinese text is broken by rules that come with it.
    ['icudt78l/brkitr/ja.res', true],
    ['icudt78l/de.res', false],
    ['icudt78l/curr/sr_Latn_BA.res', false],
    ['icudt78l/unit/yue.res', false],
  ])('%s stays: %s', (name, stays) => {
    expect(isKept(name)).toBe(stays);
  });

  test.each([
    ['empty', Buffer.alloc(0)],
    ['something else', Buffer.alloc(4096, 'icudt')],
    ['big-endian', Buffer.concat([data.subarray(0, 8), Buffer.of(1), data.subarray(9, 4096)])],
  ])('that is %s is none', (_what, bytes) => {
    expect(() => keepLanguages(bytes)).toThrow(expect.objectContaining({ code: 'package-failed' }) as Error);
  });
});

describe('Node without them', () => {
  let folder: string;
  let smaller: Buffer;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'outpost-languages-'));
    smaller = withoutLanguages(Buffer.from(whole));
    writeFileSync(join(folder, 'node'), smaller, { mode: 0o755 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const says = (program: string, script: string): unknown =>
    JSON.parse(
      execFileSync(program, ['-p', `JSON.stringify(${script})`], {
        encoding: 'utf8',
        env: { LANG: 'en_US.UTF-8' },
      }),
    );

  test('is a seventh smaller, and asks the system for the same', () => {
    expect(whole.length - smaller.length).toBeGreaterThan(18e6);
    expect(readElf(smaller)).toEqual(readElf(whole));
  });

  test.each([
    ['dates in Chinese', "new Date(0).toLocaleString('zh-CN', { dateStyle: 'full', timeZone: 'Asia/Shanghai' })"],
    ['dates in English', "new Date(0).toLocaleString('en-GB', { dateStyle: 'full', timeZone: 'Asia/Urumqi' })"],
    [
      'money',
      "['en', 'zh'].map((language) => (1234.5).toLocaleString(language, { style: 'currency', currency: 'CNY' }))",
    ],
    [
      'the order of Chinese',
      "['北', '安', 'b', 'a', '10', '9'].sort(new Intl.Collator('zh', { numeric: true }).compare)",
    ],
    [
      'its words',
      "[...new Intl.Segmenter('zh', { granularity: 'word' }).segment('警察巡逻机器人')].map((part) => part.segment)",
    ],
    ['every time zone', "Intl.supportedValuesOf('timeZone')"],
    [
      'encodings',
      "['gbk', 'gb18030', 'big5', 'shift_jis', 'euc-kr', 'windows-1251'].map((name) => new TextDecoder(name).decode(Buffer.from('d6d0b9fa', 'hex')))",
    ],
    [
      'normal forms and scripts',
      "['ﬁ한é'.normalize('NFKD'), /^\\p{Script=Han}+$/u.test('警察'), 'ß'.toLocaleUpperCase()]",
    ],
    ['names of hosts', "new URL('http://警察.example').host"],
  ])('knows %s as before', (_what, script) => {
    const [before, after] = [says(process.execPath, script), says(join(folder, 'node'), script)];
    expect(after).toEqual(before);
  });

  test('says that it does not know another language, and takes its own', () => {
    const script = "[Intl.DateTimeFormat.supportedLocalesOf(['de', 'zh']), (1.5).toLocaleString('de')]";
    expect(says(process.execPath, script)).toEqual([['de', 'zh'], '1,5']);
    expect(says(join(folder, 'node'), script)).toEqual([['zh'], '1.5']);
  });

  test('an old kernel finds its program headers, too: by their place in the file', () => {
    const [table, first] = [Number(smaller.readBigUInt64LE(32)), headersOf(smaller)];
    const [own, loaded] = [6, 1].map((type) => first.find((header) => header.type === type));
    expect(own).toMatchObject({ offset: table });
    expect((own?.address ?? 0) - table).toBe((loaded?.address ?? 0) - (loaded?.offset ?? 0));
  });

  test('what is in no segment cannot be cut, and what is less than a page is not', () => {
    expect(() => cut(Buffer.from(whole), 0x10, 0, 0x10_0000)).toThrow(/is in no segment/);
    expect(cut(whole, symbol.address, symbol.bytes - 100, symbol.bytes)).toBe(whole);
  });
});

const headersOf = (
  file: Buffer,
): readonly { readonly type: number; readonly offset: number; readonly address: number }[] =>
  Array.from({ length: file.readUInt16LE(56) }, (_none, index) => {
    const at = Number(file.readBigUInt64LE(32)) + index * 56;
    const [offset, address] = [8, 16].map((field) => Number(file.readBigUInt64LE(at + field))) as [number, number];
    return { type: file.readUInt32LE(at), offset, address };
  });
