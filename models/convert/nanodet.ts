/** NanoDet-g, as the npm package carries it for TensorFlow.js, as an ONNX file for the head `nanodet`. */
import { parseTfjs } from './tfjs.ts';
import { Translation } from './translate.ts';

/** Outputs of the TensorFlow.js graph, by the names that they get. */
const outputs = {
  cls8: 'Identity',
  cls16: 'Identity_1',
  cls32: 'Identity_2',
  dis8: 'Identity_3',
  dis16: 'Identity_4',
  dis32: 'Identity_5',
} as const;

/**
 * @param json model.json
 * @param weights the bytes it names
 * @returns the ONNX file; the same input gives the same bytes
 * @throws OutpostError `convert-failed`
 */
export function convertNanodet(json: Uint8Array, weights: Uint8Array): Uint8Array {
  const translation = new Translation(parseTfjs(json, weights), 'image');
  for (const [name, tfName] of Object.entries(outputs)) translation.output(tfName, name);
  return translation.onnx.encode('outpost');
}
