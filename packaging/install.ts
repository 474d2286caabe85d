/** Imported first, before any other file of the program: from here on it knows that it is the single binary. */
import { isSea } from 'node:sea';
import { install } from './installed.ts';

if (isSea()) install();
