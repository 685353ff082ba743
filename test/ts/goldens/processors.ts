import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  noBadWords,
  type SequenceBias,
  sequenceBias,
  suppressTokens,
  suppressTokensAtBegin,
} from '../../../ts/generation/processors/bias';
import { epsilonCutoff, etaCutoff, topH, typicalP } from '../../../ts/generation/processors/entropy_warpers';
import { exponentialDecay, forcedBos, forcedEos, minLength } from '../../../ts/generation/processors/lengths';
import { removeInvalidValues, renormalize } from '../../../ts/generation/processors/normalization';
import type { Processor } from '../../../ts/generation/processors/processor';
import {
  encoderRepetitionPenalty,
  noRepeatEncoderNgrams,
  noRepeatNgrams,
  repetitionPenalty,
} from '../../../ts/generation/processors/repetition';
import { minP, temperature, topK, topP } from '../../../ts/generation/processors/warpers';
import { readSafetensors } from '../safetensors';
import { type Comparison, sameIds } from './comparison';

interface Arguments {
  readonly [name: string]: unknown;
}

/** Python's class names, and the function that does the same. */
export const processorsByName: Readonly<Record<string, (args: Arguments) => Processor>> = {
  SequenceBiasLogitsProcessor: (a) => sequenceBias(a.sequence_bias as SequenceBias[]),
  EncoderRepetitionPenaltyLogitsProcessor: (a) =>
    encoderRepetitionPenalty(a.penalty as number, a.encoder_input_ids as number[]),
  RepetitionPenaltyLogitsProcessor: (a) => repetitionPenalty(a.penalty as number, a.prompt_ignore_length as number),
  NoRepeatNGramLogitsProcessor: (a) => noRepeatNgrams(a.ngram_size as number),
  EncoderNoRepeatNGramLogitsProcessor: (a) =>
    noRepeatEncoderNgrams(a.encoder_ngram_size as number, a.encoder_input_ids as number[]),
  NoBadWordsLogitsProcessor: (a) => noBadWords(a.bad_words_ids as number[][], a.eos_token_id as number[]),
  MinLengthLogitsProcessor: (a) => minLength(a.min_length as number, a.eos_token_id as number[]),
  MinNewTokensLengthLogitsProcessor: (a) =>
    minLength((a.prompt_length_to_skip as number) + (a.min_new_tokens as number), a.eos_token_id as number[]),
  ForcedBOSTokenLogitsProcessor: (a) => forcedBos(a.bos_token_id as number),
  ForcedEOSTokenLogitsProcessor: (a) => forcedEos(a.eos_token_id as number[], a.max_length as number),
  InfNanRemoveLogitsProcessor: () => removeInvalidValues(),
  ExponentialDecayLengthPenalty: (a) =>
    exponentialDecay(
      a.exponential_decay_length_penalty as [number, number],
      a.eos_token_id as number[],
      a.input_ids_seq_length as number,
    ),
  SuppressTokensLogitsProcessor: (a) => suppressTokens(a.suppress_tokens as number[]),
  SuppressTokensAtBeginLogitsProcessor: (a) =>
    suppressTokensAtBegin(a.begin_suppress_tokens as number[], a.begin_index as number),
  TemperatureLogitsWarper: (a) => temperature(a.temperature as number),
  TopHLogitsWarper: (a) => topH(a.top_h as number),
  TopKLogitsWarper: (a) => topK(a.top_k as number, a.min_tokens_to_keep as number),
  TopPLogitsWarper: (a) => topP(a.top_p as number, a.min_tokens_to_keep as number),
  MinPLogitsWarper: (a) => minP(a.min_p as number, a.min_tokens_to_keep as number),
  TypicalLogitsWarper: (a) => typicalP(a.mass as number, a.min_tokens_to_keep as number),
  EpsilonLogitsWarper: (a) => epsilonCutoff(a.epsilon as number, a.min_tokens_to_keep as number),
  EtaLogitsWarper: (a) => etaCutoff(a.epsilon as number, a.min_tokens_to_keep as number),
  LogitNormalization: () => renormalize(),
};

interface ProcessorGoldens {
  readonly rows: readonly {
    readonly row: number | string;
    readonly previous_ids: readonly number[];
    readonly cases: readonly {
      readonly name: string;
      readonly previous_ids?: readonly number[];
      readonly steps: readonly { readonly processor: string; readonly args: Arguments }[];
    }[];
  }[];
}

/** Scores after the steps of a case, with the golden ones. */
export interface ProcessorCase {
  readonly name: string;
  readonly processors: readonly string[];
  readonly compare: () => Comparison[];
}

/** The cases of a folder; none if there is no such folder. */
export function processorCases(folder: string): ProcessorCase[] {
  const file = join(folder, 'golden.json');
  if (!existsSync(file)) return [];
  const golden = JSON.parse(readFileSync(file, 'utf8')) as ProcessorGoldens;
  const tensors = readSafetensors(join(folder, 'golden.safetensors'));
  return golden.rows.flatMap(({ row, previous_ids, cases }) =>
    cases.map((one) => ({
      name: `row ${row}: ${one.name}`,
      processors: one.steps.map(({ processor }) => processor),
      compare: () => {
        const scores = Float32Array.from(tensors.get(`${row}.scores`)?.data ?? []);
        for (const { processor, args } of one.steps) {
          const make = processorsByName[processor];
          if (!make) throw new Error(`there is no ${processor}`);
          make(args)(one.previous_ids ?? previous_ids, scores);
        }
        return compareScores(one.name, scores, tensors.get(`${row}.${one.name}`)?.data ?? new Float32Array());
      },
    })),
  );
}

/** The same tokens removed; float32 logits of size 10 are told apart by 1e-6, softmax and logarithm add a few such steps. */
function compareScores(name: string, actual: Float32Array, expected: Float32Array): Comparison[] {
  const differences = Array.from(expected, (value, place) =>
    Object.is(value, actual[place]) ? 0 : Math.abs(value - (actual[place] ?? Number.NaN)),
  );
  const finite = differences.filter((_, place) => Number.isFinite(expected[place]));
  return [
    sameIds(`${name}: removed tokens`, removedPlaces(actual), removedPlaces(expected)),
    { name, difference: expected.length === 0 ? Number.NaN : Math.max(0, ...finite), allowed: 1e-5 },
  ];
}

/** Places of the tokens that can't be chosen any more. */
export function removedPlaces(scores: Float32Array): number[] {
  return [...scores.keys()].filter((place) => scores[place] === Number.NEGATIVE_INFINITY);
}
