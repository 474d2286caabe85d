/** The input options of each source that ffmpeg reads: as little delay, and as little trust, as the source allows. */
import type { Ffmpeg } from './ffmpeg.ts';
import type { VideoInput } from './ffmpeg-arguments.ts';

/**
 * Containers that hold their pictures themselves. Playlists and scripts (hls, dash, concat, sdp, image patterns) are
 * left out: they make ffmpeg open what they name.
 */
const containers =
  'avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,flv,h264,hevc,m4v,mjpeg,ogg,asf,ivf,gif,nut,mxf,' +
  'yuv4mpegpipe,dv,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe,tiff_pipe';

/** Frames whose references are missing stay inside the decoder. */
const wholeFramesOnly = ['-flags', '-output_corrupt'];
const noDelay = ['-fflags', '+discardcorrupt', '-flags', '+low_delay-output_corrupt'];
/** Looks at a stream, 3 s at most, only until its pictures can be decoded: what it saw is shown, the first key frame too. */
const analysis = ['-analyzeduration', '3000000', '-fpsprobesize', '0'];

const trusting = (protocols: string, formats: string): string[] => [
  '-protocol_whitelist',
  protocols,
  '-format_whitelist',
  formats,
];

/** @param paced at the file's own rate, not as fast as it can be read */
export const fileInput = (path: string, paced: boolean): VideoInput => ({
  options: [
    ...(paced ? ['-re'] : []),
    ...trusting('file', containers),
    '-fflags',
    '+discardcorrupt',
    ...wholeFramesOnly,
  ],
  target: `file:${path}`,
});

/** @param silenceMs how long the socket may be silent before ffmpeg itself gives up */
export const rtspInput = (ffmpeg: Ffmpeg, url: string, silenceMs: number): VideoInput => ({
  options: [
    ...trusting('rtsp,rtsps,rtp,srtp,tcp,tls,crypto', 'rtsp'),
    '-rtsp_transport',
    'tcp',
    ffmpeg.rtspTimeout,
    String(Math.round(silenceMs * 1_000)),
    ...analysis,
    ...noDelay,
  ],
  target: url,
});

/** A stream that we fetch ourselves, so that its address stands in no list of processes. */
export const pipedInput: VideoInput = {
  options: [...trusting('pipe', containers), ...analysis, ...noDelay],
  target: 'pipe:0',
};
