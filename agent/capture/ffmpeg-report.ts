/**
 * What ffmpeg says on stderr, as facts in their order: the source's size and rate, each frame, and what went wrong.
 *
 *   stderr --lines--> FfmpegReport {source, frames, fps, problem()}
 */
import type { ErrorCode } from '#agent/core/error-codes.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import { marks } from './ffmpeg-arguments.ts';

const maxLine = 4_096;
const keptComplaints = 8;

export interface ReportListeners {
  /** The decoder's picture has this size from now on. */
  readonly onSource: (source: PictureSize) => void;
  /** A frame could not be decoded as it was meant. */
  readonly onDamage: (inKeyFrame: boolean) => void;
  /** A frame was decoded that needs no other one. */
  readonly onKeyFrame: () => void;
  /** The next frame of pipe:1 was made. */
  readonly onShown: () => void;
}

export class FfmpegReport {
  readonly #listeners: ReportListeners;
  readonly #redact: (text: string) => string;
  readonly #complaints: string[] = [];
  #rest = '';
  #inputEnded = false;
  /** Key frames are told where they are decoded, since some are not shown. */
  #someAreLeftOut = false;
  #fps: number | undefined;
  #decodeErrors = 0;

  /** @param redact takes out every secret of the source's address */
  constructor(listeners: ReportListeners, redact: (text: string) => string) {
    this.#listeners = listeners;
    this.#redact = redact;
  }

  /** Frames a second that the source declares. */
  get fps(): number | undefined {
    return this.#fps;
  }

  /** Packets and frames that could not be decoded. */
  get decodeErrors(): number {
    return this.#decodeErrors;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString('utf8')).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, maxLine);
    for (const line of lines) this.#line(line.slice(0, maxLine));
  }

  /** Why it ended, told from what it said last; undefined when it said nothing telling. */
  problem(): OutpostError | undefined {
    for (const { pattern, code } of knownComplaints) {
      const line = this.#complaints.findLast((complaint) => pattern.test(complaint));
      if (line) return new OutpostError(code, `${sentence(line)}.`);
    }
    return undefined;
  }

  /** The last complaint, for an error of another kind. */
  get lastComplaint(): string | undefined {
    return this.#complaints.at(-1);
  }

  #line(line: string): void {
    if (this.#mark(line)) return;
    const scaled = /^\[(?:scale@)?fit @ [^\]]*\].* w:(\d+) h:(\d+) .*->/.exec(line);
    if (scaled) this.#listeners.onSource({ width: Number(scaled[1]), height: Number(scaled[2]) });
    if (line.includes('Stream mapping:')) this.#inputEnded = true;
    if (!this.#inputEnded && line.includes('Video:')) {
      const rate = /, ([\d.]+)(k?) fps\b/.exec(line);
      if (rate && this.#fps === undefined) this.#fps = Number(rate[1]) * (rate[2] ? 1_000 : 1);
    }
    if (damage.test(line)) this.#listeners.onDamage(line.includes('in I frame'));
    if (!/\[(?:error|fatal|panic)\]/.test(line)) return;
    if (/Error while decoding|error while decoding|Error submitting packet/.test(line)) this.#decodeErrors += 1;
    this.#complaints.push(this.#redact(line));
    if (this.#complaints.length > keptComplaints) this.#complaints.shift();
  }

  #mark(line: string): boolean {
    const [, name, key] = markPattern.exec(line) ?? [];
    if (name === undefined) return false;
    if (name === marks.decoded) this.#someAreLeftOut = true;
    const tellsKeys = name === marks.decoded || !this.#someAreLeftOut;
    if (tellsKeys && key === '1') this.#listeners.onKeyFrame();
    if (name === marks.shown) this.#listeners.onShown();
    return true;
  }
}

const markPattern = new RegExp(`^\\[(?:showinfo@)?(${marks.decoded}|${marks.shown}) @ [^\\]]*\\].* iskey:([01])`);

/** What the decoders of H.264, H.265, MPEG-4 and MJPEG say of a frame that they had to patch. */
const damage =
  /concealing \d+ DC|corrupt decoded frame|error while decoding|Error submitting (?:a )?packet|Could not find ref with POC|reference picture missing|Missing reference|EOI missing|overread \d/i;

/** Without ffmpeg's addresses and levels. */
const sentence = (line: string): string =>
  line
    .replaceAll(/\[[^\]]* @ 0x[0-9a-f]+\]\s*|\[(?:error|fatal|panic)\]\s*/g, '')
    .trim()
    .replace(/\.$/, '');

/** The most telling first. */
const knownComplaints: readonly { readonly pattern: RegExp; readonly code: ErrorCode }[] = [
  { pattern: /\b40[13]\b.*(Unauthorized|Forbidden)|authorization failed/i, code: 'source-unauthorized' },
  { pattern: /\b404\b.*Not Found|\b454\b/i, code: 'source-not-found' },
  {
    pattern:
      /Connection refused|No route to host|Network is unreachable|timed out|Connection reset|Failed to resolve|Name or service not known|Temporary failure in name resolution|Input\/output error|Broken pipe|End of file/i,
    code: 'source-unreachable',
  },
  { pattern: /not on whitelist|not in whitelist|whitelist/i, code: 'source-forbidden' },
  {
    pattern: /Server returned|Method \w+ failed|Bad Request|\b5\d\d\b.*(Error|Unavailable|Gateway)/i,
    code: 'source-refused',
  },
  {
    pattern:
      /Invalid data found|matches no streams|could not find codec parameters|does not contain any stream|Decoder .*not found|Picture size .* is invalid|moov atom not found/i,
    code: 'source-unreadable',
  },
];
