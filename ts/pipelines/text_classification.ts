import { OctoformerError } from '../binding/error';
import { checkChoice, checkNumber, describeValue } from '../binding/options';
import {
  AutoModelForSequenceClassification,
  type EncoderModel,
  type SequenceLogitsOutputs,
} from '../models/auto_encoders';
import type { LoadOptions } from '../models/load_options';
import { splitOptions } from './default_options';
import {
  callNames,
  checkPipelineOptions,
  type EncoderPipelineOptions,
  labelsOf,
  longestInput,
  openEncoderPipeline,
  type PipelineParts,
  runBatches,
  sigmoid,
  softmax,
  textsOf,
} from './encoder_pipeline';
import type { OneOrMore } from './one_or_more';

export interface Classification {
  readonly label: string;
  readonly score: number;
}

/** Two texts that are judged together. */
export interface TextPair {
  readonly text: string;
  readonly text_pair?: string;
}

export type TextOrPair = string | TextPair;

const functions = ['softmax', 'sigmoid', 'none'] as const;

export interface TextClassificationOptions extends EncoderPipelineOptions {
  /** Labels that are given, best first: 1 by default, null for all. */
  readonly top_k?: number | null;
  /** What makes scores of logits; by default nothing for regression, sigmoid for several labels at once (or one alone), softmax else. */
  readonly function_to_apply?: (typeof functions)[number];
}

/**
 * A text classification pipeline. A text gives its labels (a list of one without `top_k`), a pair its best label, a list the best label of
 * each; with `top_k` each gives a list.
 */
export interface TextClassificationPipeline
  extends PipelineParts<'text-classification', EncoderModel<SequenceLogitsOutputs>> {
  (input: string, options?: TextClassificationOptions): Promise<OneOrMore<Classification>>;
  (
    input: TextOrPair,
    options: TextClassificationOptions & { readonly top_k: number | null },
  ): Promise<OneOrMore<Classification>>;
  (input: TextPair, options?: TextClassificationOptions): Promise<Classification>;
  (
    input: readonly TextOrPair[],
    options: TextClassificationOptions & { readonly top_k: number | null },
  ): Promise<OneOrMore<Classification>[]>;
  (input: readonly TextOrPair[], options?: TextClassificationOptions): Promise<Classification[]>;
}

/** The same where `pipeline()` was given `top_k`: lists of labels, and for a text by itself, as in Python, such a list in a list. */
export interface RankedTextClassificationPipeline
  extends PipelineParts<'text-classification', EncoderModel<SequenceLogitsOutputs>> {
  (
    input: TextOrPair,
    options: TextClassificationOptions & { readonly top_k: number | null },
  ): Promise<OneOrMore<Classification>>;
  (input: TextPair, options?: TextClassificationOptions): Promise<OneOrMore<Classification>>;
  (
    input: string | readonly TextOrPair[],
    options?: TextClassificationOptions,
  ): Promise<OneOrMore<OneOrMore<Classification>>>;
}

const where = "pipeline('text-classification')";
const names = callNames(where, ['top_k', 'function_to_apply'], { return_all_scores: 'give top_k: null' });

export function openTextClassification(
  source: string,
  options: LoadOptions & TextClassificationOptions,
): Promise<TextClassificationPipeline> {
  return openEncoderPipeline<
    TextClassificationPipeline,
    SequenceLogitsOutputs,
    TextOrPair | readonly TextOrPair[],
    TextClassificationOptions
  >(
    'text-classification',
    AutoModelForSequenceClassification,
    source,
    splitOptions<TextClassificationOptions>(options, names),
    (model, tokenizer) => async (input, given, own) => {
      checkPipelineOptions(names, given);
      const { top_k } = given;
      if (top_k !== undefined && top_k !== null) checkNumber(where, 'top_k', top_k, { least: 1, integer: true });
      const max_length = longestInput(model, tokenizer);
      const encoded = (isList(input) ? input : [input]).map((one) => {
        const [text, pair] = textsOf(where, partsOf(one));
        return tokenizer.encode(text ?? '', { text_pair: pair, truncation: true, max_length });
      });
      const results = await runBatches(model, tokenizer, encoded, given, ({ logits }, place) =>
        ranked(model, logits[place]?.data ?? new Float32Array(), given).slice(
          0,
          top_k === null ? undefined : (top_k ?? 1),
        ),
      );
      // As in Python: without top_k labels stand alone, and where the call hasn't said it, a text's answer is in a list.
      const answers = top_k === undefined ? results.map(([best]) => best) : results;
      return isList(input) || (typeof input === 'string' && own.top_k === undefined) ? answers : answers[0];
    },
  );
}

function isList(input: TextOrPair | readonly TextOrPair[]): input is readonly TextOrPair[] {
  return Array.isArray(input);
}

function partsOf(input: TextOrPair): string[] {
  if (typeof input === 'string') return [input];
  if (typeof input === 'object' && input !== null && 'text' in input) {
    return input.text_pair === undefined ? [input.text] : [input.text, input.text_pair];
  }
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${where}: an input must be a text or { text, text_pair }, not ${describeValue(input)}`,
  );
}

/** All labels with their scores, best first. */
function ranked(
  model: EncoderModel<SequenceLogitsOutputs>,
  logits: Float32Array,
  options: TextClassificationOptions,
): Classification[] {
  const chosen = options.function_to_apply ?? defaultFunction(model.config.problem_type, logits.length);
  const apply = checkChoice(where, 'function_to_apply', chosen, functions);
  const scores =
    apply === 'softmax' ? softmax(logits) : Array.from(logits, apply === 'sigmoid' ? sigmoid : (logit) => logit);
  return labelsOf(model, logits.length)
    .map((label, index) => ({ label, score: scores[index] ?? 0 }))
    .sort((left, right) => right.score - left.score);
}

function defaultFunction(problemType: unknown, labels: number): (typeof functions)[number] {
  if (problemType === 'regression') return 'none';
  return problemType === 'multi_label_classification' || labels === 1 ? 'sigmoid' : 'softmax';
}
