/**
 * Composition root of the agent: the only file that knows every room, and hands them values.
 *
 *   peripherals -> reading rules -.
 *   sight -------------------------+-> intake -> outbox =[SQLite]=> uplink -> broker          local socket <- status
 *         -> evidence -> uploads    '-> voice -> peripherals      peripherals -> power -> peripherals, the end
 */
import { join } from 'node:path';
import { untilAborted } from '#agent/core/abort.ts';
import { durableFile } from '#agent/core/durable-text.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Health, HealthCondition, Severity } from '#agent/core/health.ts';
import { residentBytes } from '#agent/core/resident.ts';
import { type Service, supervise } from '#agent/core/supervisor.ts';
import { version } from '#agent/core/version.ts';
import { type Organ, unwatched, watchdogService } from '#agent/core/watchdog.ts';
import { type Answers, askStatus, serveStatus, socketPath } from '#agent/console/socket.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Evidence } from '#agent/evidence/evidence.ts';
import { Pace } from '#agent/evidence/pace.ts';
import { byLane, byPut, Uploads, type UploadsStatus } from '#agent/evidence/upload.ts';
import { Intake } from '#agent/outbox/intake.ts';
import type { Opened, OutpostOptions } from '#agent/opening.ts';
import type { Outbox } from '#agent/outbox/outbox.ts';
import { type CameraView, Sight } from '#agent/sight.ts';
import { trustedKeys } from '#agent/trust/keys.ts';
import { Uplink } from '#agent/uplink/uplink.ts';
import { type PeripheralView, Peripherals } from '#agent/peripherals/peripherals.ts';
import {
  compileReadingRules,
  type ReadingRules,
  type ReadingRulesState,
  type ReadingRulesStep,
} from '#agent/rules/readings.ts';
import { Power, type PowerPhase } from '#agent/power/power.ts';
import { compileSchedule } from '#agent/rules/schedule.ts';
import { Voice, type VoiceView } from '#agent/voice/voice.ts';
import type { Outcome } from '#drivers/driver.ts';
import { loadDriver } from '#drivers/registry.ts';

export interface Status {
  readonly device: string;
  /** Thumbprint of the device's key (RFC 7638); undefined without one. */
  readonly kid: string | undefined;
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly uptimeMs: number;
  readonly health: { readonly worst: Severity | 'ok'; readonly conditions: readonly HealthCondition[] };
  readonly cameras: readonly CameraView[];
  readonly peripherals: readonly PeripheralView[];
  /** Undefined: off. */
  readonly voice: VoiceView | undefined;
  /** Undefined: off. */
  readonly power: PowerPhase | undefined;
  readonly vision: Sight['vision'];
  readonly events: { readonly made: number; readonly waiting: number; readonly lost: number };
  readonly outbox: Outbox['state'];
  readonly uplink: Uplink['status'];
  readonly evidence: { readonly pictures: number; readonly bytes: number; readonly removed: number } | undefined;
  /** Undefined: pictures stay on the device. */
  readonly upload: (UploadsStatus & { readonly bytesPerSecond: number | undefined }) | undefined;
  readonly memory: { readonly agentRssBytes: number; readonly visionRssBytes: number; readonly ffmpegRssBytes: number };
}

/** Events that wait in memory while the disk refuses. */
const intakeCapacity = 10_000;
const lastMomentMs = 1_000;
/** A store of 2 GiB that was damaged is read through on a slow card. */
const openingLimitMs = 600_000;
/** The agent itself ends a child that is silent for 30 s; longer than this means that it could not. */
const childLimitMs = 90_000;
const tickMs = 1_000;

const unhurried = new AbortController().signal;

/** An agent without cameras runs too. */
const alone: Service = { name: 'agent', run: untilAborted };

export class Outpost implements AsyncDisposable {
  readonly #options: OutpostOptions;
  readonly #health: Health;
  readonly #outbox: Outbox;
  readonly #evidence: Evidence | undefined;
  readonly #intake: Intake;
  readonly #uplink: Uplink;
  readonly #pace: Pace;
  readonly #uploads: Uploads | undefined;
  readonly #sight: Sight;
  readonly #peripherals: Peripherals;
  readonly #voice: Voice;
  readonly #power: Power;
  /** Aborted when the device itself has to end. */
  readonly #ending = new AbortController();
  readonly #readingRules: ReadingRules;
  #readingState: ReadingRulesState;
  readonly #startedWallMs: number;
  readonly #startedMonoMs: number;
  #made = 0;

  constructor(options: OutpostOptions, { health, outbox, evidence, doubts }: Opened) {
    const { config, clock, random, log } = options;
    this.#options = options;
    this.#health = health;
    this.#outbox = outbox;
    this.#evidence = evidence;
    this.#startedWallMs = clock.wallMs();
    this.#startedMonoMs = clock.monoMs();
    this.#intake = new Intake({
      append: async (events) => await outbox.append(events),
      capacity: intakeCapacity,
      clock,
      random,
      health,
      log,
    });
    const { consumers } = config.uplink;
    this.#uplink = new Uplink({
      outbox,
      config: config.uplink,
      device: config.device.id,
      verify: consumers.length > 0 ? trustedKeys(consumers) : undefined,
      health,
      clock,
      random,
      log,
    });
    const line = (): Uplink['status']['rate'] => {
      const { connected, rate } = this.#uplink.status;
      return connected ? rate : undefined;
    };
    this.#pace = new Pace({ clock, line });
    this.#uploads = evidence && config.evidence.upload ? this.#makeUploads(evidence) : undefined;
    const run = `${outbox.epoch.slice(0, 8)}-${outbox.boot}`;
    this.#readingRules = compileReadingRules(config, { run, timeZone: config.device.timeZone });
    this.#readingState = this.#readingRules.initial();
    this.#peripherals = new Peripherals({
      peripherals: config.peripherals,
      loadDriver,
      doubts,
      memoryOf: (id) => durableFile(join(config.storage.path, `peripheral-${id}.json`)),
      run,
      clock,
      health,
      log,
      emit: (events) => this.#emit(events),
      onReading: (reading, { personal }) => {
        if (personal) return;
        this.#power.onReading(reading);
        this.#advance(this.#readingRules.step(this.#readingState, reading));
      },
    });
    this.#voice = new Voice({
      config: config.voice,
      folder: join(config.storage.path, 'voice'),
      clock,
      health,
      log,
      act: async (...command) => await this.#command(...command),
      isWithin: (window) => compileSchedule([window], config.device.timeZone),
    });
    this.#power = this.#powerOf(options, health);
    this.#sight = new Sight({
      config,
      model: options.model,
      run,
      clock,
      health,
      log,
      child: options.child,
      evidence,
      emit: (events) => this.#emit(events),
      upload: config.evidence.upload,
      ...(options.onFrame ? { onFrame: options.onFrame } : {}),
      ...(options.onPicture ? { onPicture: options.onPicture } : {}),
    });
  }

  /** Runs until aborted; then what is open ends, and what waits is written. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, clock, random, log } = this.#options;
    const supervised = { clock, random, log };
    const writing = new AbortController();
    const uplink: Service = { name: 'uplink', run: async (stop) => await this.#uplink.run(stop) };
    const intake: Service = { name: 'intake', run: async (stop) => await this.#intake.run(stop) };
    const socket: Service = {
      name: 'socket',
      run: async (stop) => await serveStatus(socketPath(config.storage.path), this.#answers(), stop),
    };
    const telling = new AbortController();
    const uploads = this.#uploads;
    const upload: Service[] = uploads ? [{ name: 'upload', run: async (stop) => await uploads.run(stop) }] : [];
    const line = supervise([uplink, socket, ...upload], supervised, telling.signal);
    const stop = AbortSignal.any([signal, this.#ending.signal]);
    const watching = supervise([this.#watchdog()], supervised, stop);
    const writer = supervise([intake], supervised, writing.signal);
    log.info('Outpost runs.', {
      version,
      cameras: config.cameras.length,
      epoch: this.#outbox.epoch,
    });
    // what the voice switched on it switches off at the end: until then its devices are there
    const acting = new AbortController();
    const devices = supervise(this.#peripheralServices(), supervised, acting.signal);
    const services = [...this.#sight.services(), ...this.#voice.services(), ...this.#power.services(), alone];
    await supervise(services, supervised, stop);
    acting.abort();
    await devices;
    this.#sight.finish();
    this.#advance(this.#readingRules.finish(this.#readingState, this.#now()));
    writing.abort();
    await writer;
    await this.#sendLast();
    telling.abort();
    await Promise.all([line, watching]);
    log.info('Outpost ends.', { events: this.#made, lost: this.#intake.lost });
    await this.#power.finish();
  }

  /** What the end itself told gets a moment to leave; what does not, waits on the disk. */
  async #sendLast(): Promise<void> {
    const { clock } = this.#options;
    const endsAt = clock.monoMs() + lastMomentMs;
    const waits = (): boolean => Object.values(this.#outbox.state).some(({ depth }) => depth > 0);
    while (this.#uplink.status.connected && waits() && clock.monoMs() < endsAt) await clock.sleep(20);
  }

  status(): Status {
    const { config, clock } = this.#options;
    const evidence = this.#evidence;
    const vision = this.#sight.vision;
    const { identity } = this.#options;
    return {
      device: config.device.id,
      kid: identity instanceof OutpostError ? undefined : identity?.kid,
      version,
      pid: process.pid,
      startedAt: new Date(this.#startedWallMs).toISOString(),
      uptimeMs: Math.round(clock.monoMs() - this.#startedMonoMs),
      health: { worst: this.#health.worst(), conditions: this.#health.entries() },
      cameras: this.#sight.cameras(),
      peripherals: this.#peripherals.views(),
      voice: config.voice.announcements.length > 0 ? this.#voice.view() : undefined,
      power: config.power.ups === undefined ? undefined : this.#power.phase,
      vision,
      events: { made: this.#made, waiting: this.#intake.waiting, lost: this.#intake.lost },
      outbox: this.#outbox.state,
      uplink: this.#uplink.status,
      evidence: evidence && { pictures: evidence.count, bytes: evidence.sizeBytes, removed: evidence.removed },
      upload: this.#uploads && {
        ...this.#uploads.status,
        bytesPerSecond: config.evidence.server && this.#pace.bytesPerSecond,
      },
      memory: {
        agentRssBytes: residentBytes(process.pid),
        visionRssBytes: vision.rssBytes,
        ffmpegRssBytes: vision.ffmpegRssBytes,
      },
    };
  }

  /** Until its own deadline, or the end of its connection. */
  async #command(peripheral: string, action: string, args: unknown): Promise<Outcome> {
    return await this.#peripherals.command(peripheral, action, args, unhurried);
  }

  #powerOf({ config, clock, log }: OutpostOptions, health: Health): Power {
    const ups = config.power.ups ?? '';
    return new Power({
      config: config.power,
      driver: config.peripherals.find(({ id }) => id === ups)?.driver ?? '',
      path: join(config.storage.path, 'power-ordered'),
      clock,
      health,
      log,
      emit: (events) => this.#emit(events),
      read: async (property) => (await this.#peripherals.read(ups, property, unhurried))?.value,
      order: async (args) => await this.#command(ups, 'shutdown', args),
      end: () => this.#ending.abort(),
    });
  }

  #watchdog(): Service {
    const { clock, config, log, manager } = this.#options;
    if (!manager) return unwatched;
    const outbox = this.#outbox;
    const organs: readonly Organ[] = [
      { name: 'outbox writer', silentMs: () => outbox.silence.answerMs, ask: () => outbox.ask() },
      { name: 'outbox opening', silentMs: () => outbox.silence.openingMs, limitMs: openingLimitMs },
      { name: 'inference child', silentMs: () => this.#sight.silentMs, limitMs: childLimitMs },
    ];
    const isReady = async (): Promise<boolean> =>
      await askStatus(socketPath(config.storage.path)).then(
        () => true,
        () => false,
      );
    return watchdogService({ manager, organs, isReady, status: () => this.#oneLine(), clock, log });
  }

  /** For `systemctl status`. */
  #oneLine(): string {
    const cameras = this.#sight.cameras();
    const open = cameras.filter(({ state }) => state === 'open').length;
    const conditions = this.#health.entries().map(({ title }) => title.toLowerCase());
    const line = this.#uplink.status.connected ? 'connected' : 'no line';
    return [`${open} of ${cameras.length} cameras`, line, ...new Set(conditions)].join('; ');
  }

  /** Reading rules wait for their hold by the clock as well: a device may tell changes alone. */
  #peripheralServices(): readonly Service[] {
    if (this.#options.config.peripherals.length === 0) return [];
    const tick: Service = {
      name: 'reading-rules',
      run: async (signal) => {
        while (!signal.aborted) {
          await this.#options.clock.sleep(tickMs, signal).catch(() => undefined);
          if (!signal.aborted) this.#advance(this.#readingRules.tick(this.#readingState, this.#now()));
        }
      },
    };
    return [...this.#peripherals.services(), tick];
  }

  #advance({ state, events }: ReadingRulesStep): void {
    this.#readingState = state;
    this.#emit(events);
  }

  #now(): { readonly wallMs: number; readonly monoMs: number } {
    const { clock } = this.#options;
    return { wallMs: clock.wallMs(), monoMs: clock.monoMs() };
  }

  /** What metrics need is loaded when somebody asks for them. */
  #answers(): Answers {
    return {
      status: () => this.status(),
      metrics: async () => {
        const { metricsText } = await import('#agent/console/metrics.ts');
        return await metricsText(this.status());
      },
      resolve: async (peripheral) => await this.#peripherals.resolve(peripheral),
      voice: (order, argument) => this.#voice.order(order, argument),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#evidence?.[Symbol.asyncDispose]();
    await this.#outbox[Symbol.asyncDispose]();
  }

  /** Not through the memory that events may wait in: a picture that finds no room upstream still lies in its folder. */
  #makeUploads({ due }: Evidence): Uploads {
    const { config, clock, random, log } = this.#options;
    const { server } = config.evidence;
    return new Uploads({
      due,
      send: server ? byPut(config.device.id, { server, pace: this.#pace, clock }) : byLane(clock),
      append: async (events) => await this.#outbox.append(events),
      health: this.#health,
      clock,
      random,
      log,
    });
  }

  #emit(events: readonly Event[]): void {
    if (events.length === 0) return;
    this.#made += events.length;
    this.#intake.offer(events);
    this.#voice.onEvents(events);
    this.#options.onEvents?.(events);
  }
}
