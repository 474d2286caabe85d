/** How far a pull has come. */
export interface Progress {
  readonly receivedBytes: number;
  /** Undefined while nobody knows. */
  readonly totalBytes: number | undefined;
}
