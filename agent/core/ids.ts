/** Names for things: random ones, and the rule that ids in configuration and topics follow. */
import { randomBytes } from 'node:crypto';

/** 128 random bits as 32 hexadecimal digits. */
export const randomId = (): string => randomBytes(16).toString('hex');

/** Ids of devices, cameras, zones and rules: one MQTT topic level, at most 32 characters. */
export const idPattern = /^[a-z0-9](?:[a-z0-9_-]{0,31})$/;
