/** The paper of a printer as a file that a human can look at. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock as clock } from '#agent/core/clock.ts';
import sharp from '#agent/core/sharp.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { loadDriver } from '#drivers/registry.ts';
import { keepPicture, writePicture } from './device-picture.ts';
import { decode } from './drivers-decode.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'outpost-picture-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const line = Buffer.from('\u001b@hello\n\u001dV\u0042\u0000', 'latin1');

it('is made of a recording', async () => {
  await writeFile(join(folder, 'receipt.bin'), line);
  const picture = join(folder, 'receipt.png');
  await decode('escpos-printer', join(folder, 'receipt.bin'), { from: 'host', picture, json: true });
  // 576 dots and a margin; a line, the way to the cutter
  expect(await sharp(picture).metadata()).toMatchObject({ format: 'png', width: 624, height: 30 + 96 + 48 });
});

it('is kept up to date, and is whole at the end', async () => {
  const driver = await loadDriver('escpos-printer');
  const options = driver.options.parse({});
  const simulator = driver.simulator(options);
  const path = join(folder, 'paper.png');
  const stop = new AbortController();
  const keeping = keepPicture(simulator, path, clock, stop.signal);
  const heightOf = async (): Promise<number> =>
    (
      await sharp(path)
        .metadata()
        .catch(() => undefined)
    )?.height ?? 0;
  await eventually(async () => (await heightOf()) === 48, 'empty paper');
  for (const message of driver.protocol(options).device().push(line).messages) simulator.receive(message);
  await eventually(async () => (await heightOf()) === 174, 'the line');
  stop.abort();
  await keeping;
  expect(await readdir(folder)).toEqual(['paper.png']);
});

it('is refused for a device that shows nothing, and where nothing can be written', async () => {
  const [gnss, printer] = [await loadDriver('nmea-gnss'), await loadDriver('escpos-printer')];
  const path = join(folder, 'none', 'x.png');
  const ofGnss = writePicture(gnss.simulator(gnss.options.parse({})), path);
  await expect(ofGnss).rejects.toMatchObject({ code: 'picture-unwritable' });
  const ofPrinter = writePicture(printer.simulator(printer.options.parse({})), path);
  await expect(ofPrinter).rejects.toMatchObject({ code: 'picture-unwritable' });
});
