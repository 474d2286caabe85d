/** The six lanes of the outbox, highest priority first. */
export const lanes = ['alarm', 'submission', 'event', 'audit', 'telemetry', 'media'] as const;
export type Lane = (typeof lanes)[number];
export const isLane = (text: string): text is Lane => (lanes as readonly string[]).includes(text);
