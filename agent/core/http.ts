/**
 * Node's http and https, loaded when they are first used. An ES import of `node:http` reads every export, and one of them
 * loads all of undici: 40 ms and 4 MB for a WebSocket that nobody here opens.
 */
import type * as Http from 'node:http';
import type * as Https from 'node:https';

export const http = (): typeof Http => process.getBuiltinModule('node:http');
export const https = (): typeof Https => process.getBuiltinModule('node:https');
