/** Every head by the name that manifests use. */
import type { HeadName } from '../manifest.ts';
import type { Head } from '../model.ts';
import { nanodet } from './nanodet.ts';
import { yolox } from './yolox.ts';

export const heads: Readonly<Record<HeadName, Head>> = { yolox, nanodet };
