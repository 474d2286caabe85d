/**
 * What the agent and its inference child say to each other.
 *
 *   agent --prepare, configure, picture, stop--> child --ready, camera, tracked, picture, stats, failed--> agent
 */
import type { CameraConfig, EvidenceConfig, TrackerConfig, VisionConfig } from '#config/schema.ts';
import type { Box, Point } from '#agent/domain/box.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import type { TrackedFrame } from '#agent/domain/track.ts';
import type { ErrorCode } from '#agent/core/error-codes.ts';
import type { Model } from '#models/model.ts';

/** The model of the configuration that will come: it is opened while the agent is still busy. */
export interface Prepare {
  readonly type: 'prepare';
  readonly model: Model;
  readonly threads: number;
  readonly labels: readonly string[];
}

export interface Configure {
  readonly type: 'configure';
  readonly model: Model;
  readonly vision: VisionConfig;
  readonly tracker: TrackerConfig;
  /** Without the server of pictures and its token: the child has no secrets but its cameras'. */
  readonly evidence: Pick<EvidenceConfig, 'enabled' | 'width' | 'quality'>;
  readonly cameras: readonly CameraConfig[];
  /** `newest`: live, a slow detector drops frames. `every`: replays, the decoder waits for the detector. */
  readonly frames: 'newest' | 'every';
  /** Report in every `tracked` what must be hidden in its picture. */
  readonly reportPeople: boolean;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

/** What is drawn on a picture, after what must be hidden was hidden. */
export interface Annotation {
  /** Headline, such as `intrusion · yard`. */
  readonly title: string;
  /** `track`: its place in the very picture is taken where it is known, else `box`. */
  readonly boxes: readonly {
    readonly box: Box;
    readonly text: string;
    readonly accent: boolean;
    readonly track?: number;
  }[];
  readonly zones: readonly { readonly id: string; readonly polygon: readonly Point[] }[];
  readonly lines: readonly { readonly id: string; readonly from: Point; readonly to: Point }[];
}

export interface AskPicture {
  readonly type: 'picture';
  readonly request: number;
  readonly camera: string;
  /** The picture nearest to this frame is taken. */
  readonly frame: number;
  readonly annotation: Annotation;
}

export interface Stop {
  readonly type: 'stop';
}

export type ToChild = Prepare | Configure | AskPicture | Stop;

export type CameraState = 'opening' | 'open' | 'down' | 'ended';

export interface Ready {
  readonly type: 'ready';
  readonly model: string;
  /** How long the session took to load, ms. */
  readonly loadMs: number;
}

export interface CameraChanged {
  readonly type: 'camera';
  readonly camera: string;
  readonly state: CameraState;
  readonly code?: ErrorCode;
  readonly detail?: string;
  readonly hint?: string;
  readonly source?: PictureSize;
  /** Frames a second that the source declares; undefined when it does not. */
  readonly fps?: number;
}

export interface Tracked extends TrackedFrame {
  readonly type: 'tracked';
  readonly capturedMonoMs: number;
  /** The model alone, ms. */
  readonly inferenceMs: number;
  /** Boxes of everything that may be a person, tracked or not; only with `reportPeople`. */
  readonly people?: readonly Box[];
}

export interface Picture {
  readonly type: 'picture';
  readonly request: number;
  /** Absent: no picture is at hand. The JPEG is the message's blob. */
  readonly frame?: number;
}

export interface CameraStats {
  readonly camera: string;
  readonly decoded: number;
  readonly dropped: number;
  readonly reopened: number;
}

export interface Stats {
  readonly type: 'stats';
  readonly rssBytes: number;
  /** ffmpeg children, together. */
  readonly ffmpegRssBytes: number;
  readonly cameras: readonly CameraStats[];
}

/** The child cannot go on, and says why before it ends. */
export interface Failed {
  readonly type: 'failed';
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

export type FromChild = Ready | CameraChanged | Tracked | Picture | Stats | Failed;
