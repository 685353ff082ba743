import { OctoformerError } from '../binding/error';
import type { FinishReason } from './ending';
import { likeliestOf, type NextTokens } from './next_tokens';
import { largestPlaces } from './processors/selection';
import { drawPlaces } from './random';

/** A sequence that the search goes on with. */
export interface Beam {
  readonly ids: readonly number[];
  /** The sum of its new tokens' log-probabilities. */
  readonly score: number;
  /** The beam of the step before that it continues. */
  readonly parent: number;
  /** The same for each of its new tokens. */
  readonly parents: readonly number[];
}

/** A finished sequence. */
export interface Hypothesis {
  readonly ids: readonly number[];
  /** Its log-probability, divided by (new tokens)^length_penalty. */
  readonly score: number;
  readonly parents: readonly number[];
  readonly finish: FinishReason;
}

export interface BeamSearchOptions {
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  /** New tokens at most. */
  readonly newTokens: number;
  /** How many end-of-sequence ids there are: so many candidates of a beam may end at once. */
  readonly endings: number;
  /** Whether a sequence ends with its last token. */
  readonly finish: (ids: readonly number[]) => FinishReason | undefined;
  /** Uniform numbers in [0, 1): candidates are drawn; without, the best are taken. */
  readonly uniform?: () => number;
}

/** The score of what is not to be chosen, as in transformers: below that of every sequence, above -Infinity. */
const hopeless = -1e9;

interface Candidate {
  readonly ids: readonly number[];
  readonly score: number;
  readonly parent: number;
  readonly finish: FinishReason | undefined;
}

/**
 * Beam search for one prompt, after `GenerationMixin._beam_search` of transformers 5: same candidates, same rules for when sequences are
 * finished and when the search ends. Scores are kept in float64.
 */
export class BeamSearch {
  readonly #options: BeamSearchOptions;
  readonly #prompt: number;
  /** Continuations of all beams that a step looks at: of each beam it must know so many of the likeliest tokens. */
  readonly candidates: number;
  #beams: readonly Beam[];
  #finished: readonly Hypothesis[] = [];
  #improvable = true;
  #stuck = false;
  #sums = new Float64Array();

  constructor(prompt: readonly number[], options: BeamSearchOptions) {
    this.#options = options;
    this.#prompt = prompt.length;
    this.candidates = Math.max(2, 1 + options.endings) * options.numBeams;
    // All begin alike, so that only the first may be continued.
    this.#beams = Array.from({ length: options.numBeams }, (_, beam) => ({
      ids: prompt,
      score: beam === 0 ? 0 : hopeless,
      parent: 0,
      parents: [],
    }));
  }

  get beams(): readonly Beam[] {
    return this.#beams;
  }

  /** The best finished sequences so far, the best one first; `num_beams` at the end. */
  get hypotheses(): readonly Hypothesis[] {
    return this.#finished;
  }

  get done(): boolean {
    const enough = this.#options.earlyStopping === true && this.#full;
    return !this.#improvable || enough || this.#stuck;
  }

  get #full(): boolean {
    return this.#finished.length === this.#options.numBeams;
  }

  /**
   * @param next for each beam the log-probabilities of the next token, processed: of all tokens (for draws they must be), or of the
   *   `candidates` likeliest
   * @throws OctoformerError INTERNAL when no token is possible
   */
  advance(next: readonly (Float32Array | NextTokens)[]): void {
    const { numBeams, uniform } = this.#options;
    const candidates = uniform ? this.#drawn(next, uniform) : this.#best(next);
    if (!candidates.some(({ score }) => score > Number.NEGATIVE_INFINITY)) {
      throw new OctoformerError(
        'INTERNAL',
        'no token can be chosen for any beam: every score is -infinity; look at the options that remove tokens',
      );
    }
    this.#finish(candidates.slice(0, numBeams));
    const scores = candidates.map(({ score, finish }) => (finish === undefined ? score : score + hopeless));
    this.#beams = largestPlaces(scores, numBeams).flatMap((place) => {
      const candidate = candidates[place];
      if (!candidate) return [];
      const { ids, parent } = candidate;
      return [{ ids, parent, parents: this.#parents(parent), score: scores[place] ?? hopeless }];
    });
    this.#stuck = candidates.every(({ finish }) => finish !== undefined);
    this.#improvable = this.#canImprove();
  }

  /** The best continuations of all beams, which are among the best ones of each. */
  #best(next: readonly (Float32Array | NextTokens)[]): Candidate[] {
    const parents: number[] = [];
    const added: number[] = [];
    const sums: number[] = [];
    for (const [beam, { score }] of this.#beams.entries()) {
      const row = next[beam] ?? new Float32Array();
      const { tokens, logProbabilities } = row instanceof Float32Array ? likeliestOf(row, this.candidates) : row;
      const count = Math.min(tokens.length, this.candidates);
      for (let place = 0; place < count; place++) {
        parents.push(beam);
        added.push(tokens[place] ?? 0);
        sums.push(score + (logProbabilities[place] ?? hopeless));
      }
    }
    return largestPlaces(sums, this.candidates).map((place) =>
      this.#candidate(parents[place] ?? 0, added[place] ?? 0, sums[place] ?? hopeless),
    );
  }

  /** Draws from all continuations of all beams. */
  #drawn(next: readonly (Float32Array | NextTokens)[], uniform: () => number): Candidate[] {
    const rows = next.filter((row) => row instanceof Float32Array);
    const columns = rows[0]?.length ?? 0;
    if (this.#sums.length !== columns * this.#beams.length) this.#sums = new Float64Array(columns * this.#beams.length);
    const sums = this.#sums;
    for (const [beam, { score }] of this.#beams.entries()) {
      const row = rows[beam] ?? [];
      for (let token = 0; token < columns; token++) sums[beam * columns + token] = score + (row[token] ?? 0);
    }
    return drawn(sums, this.candidates, uniform).map((place) =>
      this.#candidate(Math.floor(place / columns), place % columns, sums[place] ?? hopeless),
    );
  }

  #candidate(parent: number, token: number, score: number): Candidate {
    const ids = (this.#beams[parent]?.ids ?? []).concat(token);
    return { ids, score, parent, finish: this.#options.finish(ids) };
  }

  /** Of what continues a beam. */
  #parents(parent: number): number[] {
    return (this.#beams[parent]?.parents ?? []).concat(parent);
  }

  /** Keeps the best of the finished sequences, before the beams go on. Of the candidates only the first `num_beams` may join them. */
  #finish(candidates: readonly Candidate[]): void {
    const { numBeams, lengthPenalty } = this.#options;
    const merged: Hypothesis[] = [...this.#finished];
    for (const { ids, score, parent, finish } of candidates) {
      if (finish === undefined) continue;
      const normalized = score / (ids.length - this.#prompt) ** lengthPenalty;
      merged.push({ ids, score: normalized, parents: this.#parents(parent), finish });
    }
    const scores = merged.map(({ score }) => score);
    this.#finished = largestPlaces(scores, numBeams).flatMap((place) => merged[place] ?? []);
  }

  /** Whether a beam could still become better than the worst finished sequence, as `early_stopping` estimates it. */
  #canImprove(): boolean {
    const { earlyStopping, lengthPenalty, newTokens } = this.#options;
    const [best] = this.#beams;
    if (!best) return false;
    const length = earlyStopping === 'never' && lengthPenalty > 0 ? newTokens : best.ids.length - this.#prompt;
    const worst = this.#full ? Math.min(...this.#finished.map(({ score }) => score)) : hopeless;
    return best.score / length ** lengthPenalty > worst;
  }
}

/** Places drawn without replacement by the probabilities that belong to the sums; where too few are possible, others follow. */
function drawn(sums: Float64Array, count: number, uniform: () => number): number[] {
  const largest = sums.reduce((most, sum) => Math.max(most, sum), Number.NEGATIVE_INFINITY);
  const places = drawPlaces(
    sums.map((sum) => Math.exp(sum - largest)),
    count,
    uniform,
  );
  if (places.length === count) return places;
  const known = new Set(places);
  return [...places, ...largestPlaces(sums, count).filter((place) => !known.has(place))].slice(0, count);
}
