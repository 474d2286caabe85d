/** What the writer answered, told to those who asked. */
import type { Origin } from '#agent/domain/cloudevent.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { StoredEnvelope } from './append.ts';
import type { Append, Waiting } from './backlog.ts';
import type { FreshAlarms } from './fresh-alarms.ts';
import { type AckRequest, type Answer, failureToError, type PeekedBatch, type PeekRequest } from './protocol.ts';

/** @returns the lanes that have new events */
export function resolveAppends(
  appends: readonly Append[],
  { seqs, refused }: Answer,
  origin: Origin,
  fresh: FreshAlarms,
): Set<Lane> {
  const touched = new Set<Lane>();
  const failures = new Map(refused.map(({ append, failure }) => [append, failure]));
  let at = 0;
  for (const [index, { request, clock, resolve, reject }] of appends.entries()) {
    const failure = failures.get(index);
    if (failure) reject(failureToError(failure));
    else {
      const stored: StoredEnvelope[] = [];
      for (const [n, event] of request.entries()) {
        const envelope = new StoredEnvelope(event, seqs[at + n] ?? 0, origin, clock);
        stored.push(envelope);
        touched.add(envelope.lane);
        if (envelope.lane === 'alarm') fresh.written(origin.epoch, envelope);
      }
      resolve(stored);
    }
    at += request.length;
  }
  return touched;
}

export function resolveAcks(acks: readonly Waiting<AckRequest, void>[], { acks: failure }: Answer): void {
  for (const { resolve, reject } of acks) {
    if (failure) reject(failureToError(failure));
    else resolve();
  }
}

export function resolvePeeks(
  waiting: readonly Waiting<PeekRequest, readonly PeekedBatch[]>[],
  { peeks }: Answer,
): void {
  for (const [index, { resolve, reject }] of waiting.entries()) {
    if ('code' in peeks) reject(failureToError(peeks));
    else resolve(peeks[index] ?? []);
  }
}

/** Plain acknowledgements of one lane: only the highest counts. */
export function foldAcks(requests: readonly AckRequest[]): AckRequest[] {
  const highest = new Map<string, AckRequest>();
  const others: AckRequest[] = [];
  for (const request of requests) {
    if (request.missing.length > 0 || request.isPoison) others.push(request);
    else {
      const key = `${request.epoch} ${request.lane}`;
      if ((highest.get(key)?.upto ?? 0) < request.upto) highest.set(key, request);
    }
  }
  return [...highest.values(), ...others];
}
