/** The label of a track whose detector wavers between similar ones: the one with most score, newer ones counting more. */

/** What an older vote is still worth after each new one. */
const memory = 0.95;
/** By how much another label must lead before the track changes to it. */
const lead = 1.2;

export class LabelVotes {
  readonly #votes = new Map<string, number>();
  label: string;

  constructor(label: string) {
    this.label = label;
  }

  cast(label: string, score: number): void {
    // One label is the rule, and needs no counting.
    if (label === this.label && this.#votes.size === 0) return;
    if (this.#votes.size === 0) this.#votes.set(this.label, 1);
    for (const [name, votes] of this.#votes) this.#votes.set(name, votes * memory);
    const votes = (this.#votes.get(label) ?? 0) + score;
    this.#votes.set(label, votes);
    if (votes > lead * (this.#votes.get(this.label) ?? 0)) this.label = label;
  }
}
