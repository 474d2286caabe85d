/**
 * What the inference child tells becomes events: rules, camera conditions, and a picture with each that begins.
 *
 *   VisionChild --tracked--> rules ----+--> events --> emit
 *               --camera---> condition-+       \--ask--> picture --> evidence
 */
import type { Clock } from '#agent/core/clock.ts';
import { type OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { Service } from '#agent/core/supervisor.ts';
import { type Event, incidentOf } from '#agent/domain/event.ts';
import type { TrackedFrame } from '#agent/domain/track.ts';
import type { Evidence } from '#agent/evidence/evidence.ts';
import { type CameraWatch, stepCameraWatch } from '#agent/rules/camera-watch.ts';
import { compileRules, type Rules, type RulesState, type RulesStep } from '#agent/rules/rules.ts';
import type { WaitingChild } from '#agent/vision/waiting-child.ts';
import { VisionChild } from '#agent/vision/child.ts';
import type { CameraChanged, CameraState, Stats, Tracked } from '#agent/vision/protocol.ts';
import type { Config } from '#config/schema.ts';
import { annotationOf, boxesOf } from '#agent/annotation.ts';
import type { Model } from '#models/model.ts';
import { SlidingWindow } from '#agent/core/sliding-window.ts';

export interface SightOptions {
  readonly config: Config;
  /** Looked up anew at each start of the child, so that a pulled model is found. */
  readonly model: () => Promise<Model>;
  /** Makes incidents unique across starts. */
  readonly run: string;
  readonly clock: Clock;
  readonly health: Health;
  readonly log: Log;
  /** An inference child that waits for its first configuration already. */
  readonly child?: WaitingChild | undefined;
  /** Undefined: no pictures are stored. */
  readonly evidence: Evidence | undefined;
  /** Each picture that is stored is to be uploaded. */
  readonly upload?: boolean;
  readonly emit: (events: readonly Event[]) => void;
  readonly onFrame?: (frame: TrackedFrame) => void;
  readonly onPicture?: (path: string, event: Event) => void;
}

/** One camera as the status shows it. */
export interface CameraView {
  readonly id: string;
  readonly state: CameraState;
  readonly detail?: string;
  readonly width?: number;
  readonly height?: number;
  /** Results a second over the last five seconds. */
  readonly resultsPerSecond: number;
  /** From capture to event, over the last five seconds; undefined without results. */
  readonly ageMsP50?: number;
  readonly ageMsP99?: number;
  readonly inferenceMsP50?: number;
  readonly tracks: number;
  readonly decoded: number;
  readonly dropped: number;
  readonly reopened: number;
}

interface CameraRecord {
  state: CameraState;
  detail: string | undefined;
  source: { readonly width: number; readonly height: number } | undefined;
  watch: CameraWatch;
  tracks: number;
  readonly ages: SlidingWindow;
  readonly inference: SlidingWindow;
}

const windowMs = 5_000;
const quietIntervalMs = 1_000;
/** Of the frames between two statistics. */
const slowPart = 0.5;

export class Sight {
  readonly #options: SightOptions;
  readonly #rules: Rules;
  readonly #cameras: ReadonlyMap<string, CameraRecord>;
  #state: RulesState;
  #child: VisionChild | undefined;
  #stats: Stats | undefined;
  #model: string | undefined;
  /** Undefined: no child is supposed to run. */
  #heardMonoMs: number | undefined;

  constructor(options: SightOptions) {
    this.#options = options;
    const { config, run } = options;
    this.#rules = compileRules(config, { run, timeZone: config.device.timeZone });
    this.#state = this.#rules.initial();
    this.#cameras = new Map(
      config.cameras
        .filter(({ enabled }) => enabled)
        .map(({ id }) => [
          id,
          {
            state: 'opening',
            detail: undefined,
            source: undefined,
            watch: { incidents: 0 },
            tracks: 0,
            ages: new SlidingWindow(windowMs),
            inference: new SlidingWindow(windowMs),
          },
        ]),
    );
  }

  /** The services of this room: the child, and the second hand of the rules. */
  services(): readonly Service[] {
    if (this.#cameras.size === 0) return [];
    return [
      {
        name: 'vision',
        run: async (signal) => await this.#watchChild(signal),
        onFailure: (error) => this.#onChildFailure(error),
      },
      { name: 'quiet', run: async (signal) => await this.#runQuiet(signal) },
    ];
  }

  cameras(): readonly CameraView[] {
    const now = this.#options.clock.monoMs();
    return [...this.#cameras].map(([id, record]) => {
      const counted = this.#stats?.cameras.find(({ camera }) => camera === id);
      const age = record.ages.quantiles(now, [0.5, 0.99]);
      const inference = record.inference.quantiles(now, [0.5]);
      return {
        id,
        state: record.state,
        ...(record.detail === undefined ? {} : { detail: record.detail }),
        ...record.source,
        resultsPerSecond: record.ages.perSecond(now),
        ...(age ? { ageMsP50: age[0] as number, ageMsP99: age[1] as number } : {}),
        ...(inference ? { inferenceMsP50: inference[0] as number } : {}),
        tracks: record.tracks,
        decoded: counted?.decoded ?? 0,
        dropped: counted?.dropped ?? 0,
        reopened: counted?.reopened ?? 0,
      };
    });
  }

  get vision(): { model: string | undefined; pid: number | undefined; rssBytes: number; ffmpegRssBytes: number } {
    return {
      model: this.#model,
      pid: this.#child?.pid,
      rssBytes: this.#stats?.rssBytes ?? 0,
      ffmpegRssBytes: this.#stats?.ffmpegRssBytes ?? 0,
    };
  }

  /**
   * How long the child has said nothing, counted from its start; undefined while none is supposed to run: no camera, or
   * the Supervisor waits before it starts one.
   */
  get silentMs(): number | undefined {
    return this.#heardMonoMs === undefined ? undefined : this.#options.clock.monoMs() - this.#heardMonoMs;
  }

  /** The end of the agent: what is open ends now. */
  finish(): void {
    const { clock, emit } = this.#options;
    emit(this.#advance(this.#rules.finish(this.#state, { wallMs: clock.wallMs(), monoMs: clock.monoMs() })));
  }

  async #watchChild(signal: AbortSignal): Promise<void> {
    this.#heardMonoMs = this.#options.clock.monoMs();
    try {
      await this.#runChild(signal);
    } finally {
      this.#heardMonoMs = undefined;
    }
  }

  async #runChild(signal: AbortSignal): Promise<void> {
    const { config, clock, health } = this.#options;
    const { enabled, width, quality } = config.evidence;
    const model = await this.#options.model();
    if (signal.aborted) return;
    await using child = new VisionChild({
      clock,
      process: this.#options.child?.take(),
      configure: {
        model,
        vision: config.vision,
        tracker: config.tracker,
        evidence: { enabled, width, quality },
        cameras: config.cameras,
        frames: 'newest',
        reportPeople: false,
        logLevel: config.log.level,
      },
    });
    this.#child = child;
    try {
      for await (const message of child.messages(signal)) {
        this.#heardMonoMs = clock.monoMs();
        switch (message.type) {
          case 'ready':
            this.#model = message.model;
            health.clear('vision-down', 'agent');
            health.clear('model-unusable', 'agent');
            health.clear('processor-unsuited', 'agent');
            break;
          case 'camera':
            this.#onCamera(message);
            break;
          case 'tracked':
            this.#onTracked(message);
            break;
          case 'stats':
            this.#onStats(message);
            break;
        }
      }
    } finally {
      this.#child = undefined;
    }
  }

  /** Dropping frames is by design; dropping most of them is worth saying. */
  #onStats(stats: Stats): void {
    const { health } = this.#options;
    for (const { camera, decoded, dropped } of stats.cameras) {
      const before = this.#stats?.cameras.find((entry) => entry.camera === camera);
      const lately = { decoded: decoded - (before?.decoded ?? 0), dropped: dropped - (before?.dropped ?? 0) };
      const isPaced = this.#options.config.cameras.find(({ id }) => id === camera)?.pace !== 'fast';
      const subject = `camera/${camera}`;
      if (isPaced && lately.dropped > slowPart * lately.decoded) {
        health.set('vision-slow', subject, 'More than half of its frames are dropped before detection.');
      } else health.clear('vision-slow', subject);
    }
    this.#stats = stats;
  }

  #onChildFailure(error: OutpostError): void {
    const { health } = this.#options;
    const detail = `${error.message} ${error.hint}`;
    if (error.code === 'processor-unsuited') health.set('processor-unsuited', 'agent', detail);
    else if (error.code.startsWith('model-')) health.set('model-unusable', 'agent', detail);
    else health.set('vision-down', 'agent', detail);
    for (const [camera, record] of this.#cameras) {
      record.tracks = 0;
      this.#onCamera({ type: 'camera', camera, state: 'down', detail: 'The inference child ended.' });
    }
  }

  #onTracked(tracked: Tracked): void {
    const { clock, emit, onFrame } = this.#options;
    const record = this.#cameras.get(tracked.camera);
    if (!record) return;
    const now = { wallMs: clock.wallMs(), monoMs: clock.monoMs() };
    record.ages.add(now.monoMs, now.monoMs - tracked.capturedMonoMs);
    record.inference.add(now.monoMs, tracked.inferenceMs);
    record.tracks = tracked.tracks.filter(({ coasting }) => !coasting).length;
    onFrame?.(tracked);
    const events = this.#advance(this.#rules.step(this.#state, tracked, now));
    if (events.length > 0) emit(events.map((event) => this.#withEvidence(event, tracked)));
  }

  #onCamera(changed: CameraChanged): void {
    const { clock, emit, health } = this.#options;
    const record = this.#cameras.get(changed.camera);
    if (!record) return;
    record.state = changed.state;
    record.detail = changed.detail;
    if (changed.source) record.source = changed.source;
    const subject = `camera/${changed.camera}`;
    if (changed.state === 'open') health.clear('camera-down', subject);
    if (changed.state === 'down') {
      health.set('camera-down', subject, [changed.detail, changed.hint].filter((text) => text !== undefined).join(' '));
    }
    const now = { wallMs: clock.wallMs(), monoMs: clock.monoMs() };
    const { watch, events } = stepCameraWatch(record.watch, changed, now, {
      camera: changed.camera,
      run: this.#options.run,
    });
    record.watch = watch;
    if (events.length > 0) emit(events);
  }

  async #runQuiet(signal: AbortSignal): Promise<void> {
    const { clock, emit } = this.#options;
    for (;;) {
      await clock.sleep(quietIntervalMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      const now = { wallMs: clock.wallMs(), monoMs: clock.monoMs() };
      const events = [...this.#cameras.keys()].flatMap((camera) => [
        ...this.#advance(this.#rules.quiet(this.#state, camera, now)),
      ]);
      if (events.length > 0) emit(events);
    }
  }

  #advance(step: RulesStep): readonly Event[] {
    this.#state = step.state;
    return step.events;
  }

  /** Gives what begins the id of a picture, and asks for that picture; the event does not wait for it. */
  #withEvidence(event: Event, tracked: Tracked): Event {
    const { evidence } = this.#options;
    const begins = event.phase === undefined || event.phase === 'start';
    const incident = boxesOf(event) === undefined ? undefined : incidentOf(event);
    if (!evidence || !begins || incident === undefined) return event;
    // An id of evidence is a file's name.
    const id = incident.replaceAll('.', '-');
    const marked = { ...event, data: { ...event.data, evidence: [{ id, mediaType: 'image/jpeg' }] } } as Event;
    void this.#storePicture(id, marked, tracked, evidence);
    return marked;
  }

  async #storePicture(id: string, event: Event, tracked: Tracked, evidence: Evidence): Promise<void> {
    const { config, health, log, onPicture, upload = false } = this.#options;
    const camera = config.cameras.find((entry) => entry.id === tracked.camera);
    const child = this.#child;
    if (!child || !camera) return;
    try {
      const annotation = annotationOf(event, tracked, camera);
      const jpeg = await child.picture({ camera: tracked.camera, frame: tracked.frame, annotation });
      if (!jpeg) return;
      const { path } = await evidence.put(id, 'image/jpeg', jpeg, upload ? event.subject : undefined);
      health.clear('evidence-down', 'agent');
      onPicture?.(path, event);
    } catch (thrown) {
      const error = toOutpostError(thrown);
      log.warn('A picture could not be stored.', { error });
      health.set('evidence-down', 'agent', error.message);
    }
  }
}
