/** Every head by the name that manifests use. */
import type { Head, HeadName } from '../model.ts';
import { nanodet } from './nanodet.ts';
import { yolox } from './yolox.ts';

export const heads: Readonly<Record<HeadName, Head>> = { yolox, nanodet };
