/** The door to prom-client: figures that are read when somebody asks, as Prometheus' text. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** One figure, with what tells it from others of its name. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A figure, or one for each set of labels; undefined: not known now, and left out. */
export type Reading = () => number | undefined | readonly Sample[];

export class Metrics {
  readonly #registry = new Registry();

  /** What goes up and down. */
  gauge(name: string, help: string, read: Reading, labelNames: readonly string[] = []): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        gauge.reset();
        // prom-client gives a figure without labels the value 0 on its own
        if (labelNames.length === 0) gauge.remove();
        for (const { labels, value } of samplesOf(read)) gauge.set(labels, value);
      },
    });
  }

  /** What only goes up. @param name ends in `_total` */
  counter(name: string, help: string, read: Reading, labelNames: readonly string[] = []): void {
    const counter = new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        counter.reset();
        for (const { labels, value } of samplesOf(read)) counter.inc(labels, value);
      },
    });
  }

  /** @param buckets upper bounds, ascending @returns takes one value */
  histogram(name: string, help: string, buckets: readonly number[]): (value: number) => void {
    const histogram = new Histogram({ name, help, buckets: [...buckets], registers: [this.#registry] });
    return (value) => histogram.observe(value);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    return await this.#registry.metrics();
  }
}

function samplesOf(read: Reading): readonly Sample[] {
  const reading = read();
  if (typeof reading === 'number') return [{ labels: {}, value: reading }];
  return reading ?? [];
}
