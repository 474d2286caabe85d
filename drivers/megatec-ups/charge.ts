/** How full a lead-acid battery may be, guessed from its voltage: all that a Megatec device gives. */
import type { Options } from './manifest.ts';

export class ChargeEstimate {
  readonly #options: Pick<Options, 'emptyCell' | 'fullCell'>;
  /** Blocks that the device gives the voltage of one of; kept, since a dying battery would look like two. */
  #blocks: number | undefined;

  constructor(options: Pick<Options, 'emptyCell' | 'fullCell'>) {
    this.#options = options;
  }

  /**
   * @param volts as the device says it: of the battery, of one block of it, or of one 2 V cell
   * @param nominal of the whole battery, volts; undefined when nobody knows it
   * @returns percent, or undefined when it cannot be told
   */
  percent(volts: number | undefined, nominal: number | undefined): number | undefined {
    const cell = volts === undefined ? undefined : this.#cellVolts(volts, nominal);
    if (cell === undefined) return undefined;
    const { emptyCell, fullCell } = this.#options;
    const share = (cell - emptyCell) / (fullCell - emptyCell);
    return Math.round(Math.min(1, Math.max(0, share)) * 100);
  }

  #cellVolts(volts: number, nominal: number | undefined): number | undefined {
    // on-line devices give one cell (section C.1 g); no battery has so little
    if (volts < 4) return volts;
    if (nominal === undefined) return undefined;
    this.#blocks ??= Math.max(1, Math.round(nominal / volts));
    return (volts * this.#blocks) / (nominal / 2);
  }
}
