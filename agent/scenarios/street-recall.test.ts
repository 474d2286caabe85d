/** The rendered street is worth something as a camera only if a model trained on photographs sees its people. */
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { openStreet } from '#agent/capture/street/street.ts';
import { iou } from '#agent/domain/box.ts';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { Detector } from '#agent/vision/detector.ts';
import { pictureToPlanes } from '#agent/vision/letterbox.ts';
import { openSession } from '#agent/vision/session.ts';
import { assetPath } from '#agent/core/program.ts';
import { cocoLabels } from '#models/coco.ts';
import { manifestSchema } from '#models/manifest.ts';
import { type Model, frameFormat } from '#models/model.ts';

const weights = ['models', 'yolox_nano_416.onnx'] as const;
const manifestPath = assetPath('models', 'yolox-nano', 'manifest.json');
const minScore = 0.3;
const everyFrames = 8;

describeWith('yolox-nano on the rendered street', [needsData(...weights)], () => {
  test.each([1, 2, 3])('finds at least 0.7 of its people at IoU 0.5 (seed %i)', async (seed) => {
    const model: Model = {
      manifest: manifestSchema.parse(JSON.parse(readFileSync(manifestPath, 'utf8'))),
      labels: cocoLabels,
      weightsPath: testData(...weights),
    };
    await using session = await openSession(model, { threads: 1 });
    const detector = new Detector(session, model);
    const street = openStreet(`sim://street?seed=${seed}`);
    const { width, height } = street;
    let found = 0;
    let people = 0;
    for (let n = 0; n < 400; n += everyFrames) {
      const png = await sharp(await street.frame(n), { raw: { width, height, channels: 3 } })
        .png({ compressionLevel: 0 })
        .toBuffer();
      const { bytes, source } = await pictureToPlanes(png, frameFormat(model.manifest));
      const { detections } = await detector.detect(bytes, source, { minScore, labels: ['person'] });
      const free = new Set(detections);
      for (const { label, box } of street.truth(n)) {
        if (label !== 'person') continue;
        people += 1;
        const best = [...free].toSorted((a, b) => iou(b.box, box) - iou(a.box, box))[0];
        if (!best || iou(best.box, box) < 0.5) continue;
        free.delete(best);
        found += 1;
      }
    }
    expect(people).toBeGreaterThan(300);
    expect(found / people).toBeGreaterThanOrEqual(0.7);
  });
});
