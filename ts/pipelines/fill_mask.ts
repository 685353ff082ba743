import { OctoformerError } from '../binding/error';
import { checkNumber } from '../binding/options';
import { AutoModelForMaskedLM, type EncoderModel, type TokenLogitsOutputs } from '../models/auto_encoders';
import type { LoadOptions } from '../models/load_options';
import type { TokenizedText, Tokenizer } from '../tokenization';
import { splitOptions } from './default_options';
import {
  callNames,
  checkPipelineOptions,
  type EncoderPipelineOptions,
  longestInput,
  openEncoderPipeline,
  type PipelineParts,
  runBatches,
  softmax,
  textsOf,
} from './encoder_pipeline';

export interface FilledMask {
  readonly score: number;
  readonly token: number;
  readonly token_str: string;
  /** The text with the token in the mask's place. */
  readonly sequence: string;
}

export interface FillMaskOptions extends EncoderPipelineOptions {
  /** Words that are given, best first: 5 by default. */
  readonly top_k?: number;
  /** The only words that are considered; one that isn't a token stands for its first token. */
  readonly targets?: string | readonly string[];
}

/** A fill-mask pipeline. A text with one mask gives its best words, one with several a list of such lists. */
export interface FillMaskPipeline extends PipelineParts<'fill-mask', EncoderModel<TokenLogitsOutputs>> {
  (input: string, options?: FillMaskOptions): Promise<FilledMask[] | FilledMask[][]>;
  (input: readonly string[], options?: FillMaskOptions): Promise<(FilledMask[] | FilledMask[][])[]>;
}

const where = "pipeline('fill-mask')";
const names = callNames(where, ['top_k', 'targets']);

export function openFillMask(source: string, options: LoadOptions & FillMaskOptions): Promise<FillMaskPipeline> {
  return openEncoderPipeline<FillMaskPipeline, TokenLogitsOutputs, string | readonly string[], FillMaskOptions>(
    'fill-mask',
    AutoModelForMaskedLM,
    source,
    splitOptions<FillMaskOptions>(options, names),
    (model, tokenizer) => async (input, given) => {
      checkPipelineOptions(names, given);
      const top_k = checkNumber(where, 'top_k', given.top_k ?? 5, { least: 1, integer: true });
      const targets = given.targets === undefined ? undefined : targetIds(tokenizer, given.targets);
      const texts = textsOf(where, input);
      const encoded = tokenizer.encode_batch(texts, { truncation: true, max_length: longestInput(model, tokenizer) });
      const masks = encoded.map((text, index) => maskPlaces(tokenizer, text, index));
      const read = ({ logits }: TokenLogitsOutputs, place: number, index: number) => {
        const { data = new Float32Array(), dims: [, words = 0] = [] } = logits[place] ?? {};
        const places = masks[index] ?? [];
        const filled = places.map((mask, row) =>
          best(data.subarray(row * words, (row + 1) * words), top_k, targets).map(([token, score]) => ({
            score,
            token,
            token_str: tokenizer.decode([token]),
            sequence: withToken(tokenizer, encoded[index]?.input_ids ?? [], mask, token, places.length === 1),
          })),
        );
        return places.length === 1 ? (filled[0] ?? []) : filled;
      };
      const results = await runBatches(model, tokenizer, encoded, given, read, masks);
      return Array.isArray(input) ? results : results[0];
    },
  );
}

function maskPlaces(tokenizer: Tokenizer, { input_ids }: TokenizedText, index: number): number[] {
  const mask = tokenizer.mask_token_id;
  const places = input_ids.flatMap((id, place) => (id === mask ? [place] : []));
  if (places.length > 0) return places;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    mask === null
      ? `${where}: the tokenizer has no mask token; is it that of a masked language model?`
      : `${where}: text ${index} has no ${String(tokenizer.mask_token)} for the word to be guessed`,
  );
}

/** The likeliest tokens with their probabilities, best first; of equal ones the lower id. */
function best(logits: Float32Array, count: number, targets: readonly number[] | undefined): [number, number][] {
  const scores = softmax(logits);
  const ids = targets ?? scores.map((_, id) => id);
  return [...ids]
    .sort((left, right) => (scores[right] ?? 0) - (scores[left] ?? 0) || left - right)
    .slice(0, count)
    .map((id) => [id, scores[id] ?? 0]);
}

/** As in Python: special tokens are left out of the text, unless there are other masks to be seen. */
function withToken(tokenizer: Tokenizer, ids: readonly number[], mask: number, token: number, alone: boolean): string {
  const filled = ids.map((id, place) => (place === mask ? token : id)).filter((id) => id !== tokenizer.pad_token_id);
  return tokenizer.decode(filled, { skip_special_tokens: alone });
}

function targetIds(tokenizer: Tokenizer, targets: string | readonly string[]): number[] {
  const vocabulary = tokenizer.get_vocab();
  const ids = textsOf(where, targets).map((word) => {
    const known = Object.hasOwn(vocabulary, word) ? vocabulary[word] : undefined;
    const id = known ?? tokenizer.encode(word, { add_special_tokens: false }).input_ids[0];
    if (id !== undefined) return id;
    throw new OctoformerError('INVALID_ARGUMENT', `option 'targets' of ${where}: '${word}' is not made of tokens`);
  });
  if (ids.length > 0) return [...new Set(ids)];
  throw new OctoformerError('INVALID_ARGUMENT', `option 'targets' of ${where} must have at least one word`);
}
