import { OctoformerError } from '../binding/error';
import type { FinishReason } from './ending';
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

interface Candidate extends Beam {
  readonly finish: FinishReason | undefined;
}

/**
 * Beam search for one prompt, after `GenerationMixin._beam_search` of transformers 5: same candidates, same rules for when sequences are
 * finished and when the search ends. Scores are kept in float64.
 */
export class BeamSearch {
  readonly #options: BeamSearchOptions;
  readonly #prompt: number;
  #beams: readonly Beam[];
  #finished: readonly Hypothesis[] = [];
  #improvable = true;
  #stuck = false;
  #sums = new Float64Array();

  constructor(prompt: readonly number[], options: BeamSearchOptions) {
    this.#options = options;
    this.#prompt = prompt.length;
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
   * @param logProbabilities those of the next token, processed, for each beam
   * @throws OctoformerError INTERNAL when no token is possible
   */
  advance(logProbabilities: readonly Float32Array[]): void {
    const { numBeams, endings } = this.#options;
    const candidates = this.#candidates(logProbabilities, Math.max(2, 1 + endings) * numBeams);
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
      return candidate ? [{ ...candidate, score: scores[place] ?? hopeless }] : [];
    });
    this.#stuck = candidates.every(({ finish }) => finish !== undefined);
    this.#improvable = this.#canImprove();
  }

  /** The best continuations of all beams, or draws from them. */
  #candidates(logProbabilities: readonly Float32Array[], count: number): Candidate[] {
    const columns = logProbabilities[0]?.length ?? 0;
    if (this.#sums.length !== columns * this.#beams.length) this.#sums = new Float64Array(columns * this.#beams.length);
    const sums = this.#sums;
    for (const [beam, { score }] of this.#beams.entries()) {
      const row = logProbabilities[beam] ?? [];
      for (let token = 0; token < columns; token++) sums[beam * columns + token] = score + (row[token] ?? 0);
    }
    const places = this.#options.uniform ? drawn(sums, count, this.#options.uniform) : largestPlaces(sums, count);
    return places.flatMap((place) => {
      const parent = Math.floor(place / columns);
      const beam = this.#beams[parent];
      if (!beam) return [];
      const ids = [...beam.ids, place % columns];
      const score = sums[place] ?? hopeless;
      return [{ ids, score, parent, parents: [...beam.parents, parent], finish: this.#options.finish(ids) }];
    });
  }

  /** Keeps the best of the finished sequences. Of the candidates only the first `num_beams` may join them. */
  #finish(candidates: readonly Candidate[]): void {
    const { numBeams, lengthPenalty } = this.#options;
    const merged: Hypothesis[] = [...this.#finished];
    for (const { ids, score, parents, finish } of candidates) {
      if (finish === undefined) continue;
      merged.push({ ids, score: score / (ids.length - this.#prompt) ** lengthPenalty, parents, finish });
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
