import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
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
  softmax,
  textsOf,
} from './encoder_pipeline';

export interface ZeroShotOptions extends EncoderPipelineOptions {
  /** A list, or names with commas between them. */
  readonly candidate_labels: readonly string[] | string;
  /** Several labels may be true: each is judged by itself. */
  readonly multi_label?: boolean;
  /** A sentence with `{}` where the label goes; 'This example is {}.' by default. */
  readonly hypothesis_template?: string;
}

/** Labels and their scores, best first. */
export interface ZeroShotClassification {
  readonly sequence: string;
  readonly labels: string[];
  readonly scores: number[];
}

/** A zero-shot classification pipeline: how well a sentence about each label follows from the text (Yin et al. 2019). */
export interface ZeroShotClassificationPipeline
  extends PipelineParts<'zero-shot-classification', EncoderModel<SequenceLogitsOutputs>> {
  (input: string, options: ZeroShotOptions): Promise<ZeroShotClassification>;
  (input: readonly string[], options: ZeroShotOptions): Promise<ZeroShotClassification[]>;
}

/** The same where `pipeline()` was given the labels. */
export interface LabelledZeroShotPipeline
  extends PipelineParts<'zero-shot-classification', EncoderModel<SequenceLogitsOutputs>> {
  (input: string, options?: Partial<ZeroShotOptions>): Promise<ZeroShotClassification>;
  (input: readonly string[], options?: Partial<ZeroShotOptions>): Promise<ZeroShotClassification[]>;
}

const where = "pipeline('zero-shot-classification')";
const names = callNames(where, ['candidate_labels', 'multi_label', 'hypothesis_template']);

export function openZeroShotClassification(
  source: string,
  options: LoadOptions & Partial<ZeroShotOptions>,
): Promise<ZeroShotClassificationPipeline> {
  return openEncoderPipeline<
    ZeroShotClassificationPipeline,
    SequenceLogitsOutputs,
    string | readonly string[],
    ZeroShotOptions
  >(
    'zero-shot-classification',
    AutoModelForSequenceClassification,
    source,
    splitOptions<ZeroShotOptions>(options, names),
    (model, tokenizer) => async (input, given) => {
      checkPipelineOptions(names, given);
      const labels = candidates(given.candidate_labels);
      const hypotheses = hypothesesOf(labels, given.hypothesis_template ?? 'This example is {}.');
      const texts = textsOf(where, input);
      const max_length = longestInput(model, tokenizer);
      const encoded = texts.flatMap((text) =>
        hypotheses.map((text_pair) => tokenizer.encode(text, { text_pair, truncation: 'only_first', max_length })),
      );
      const logits = await runBatches(
        model,
        tokenizer,
        encoded,
        given,
        (outputs, place) => outputs.logits[place]?.data ?? new Float32Array(),
      );
      const results = texts.map((sequence, index) => {
        const own = logits.slice(index * labels.length, (index + 1) * labels.length);
        const scores = scoresOf(model, own, given.multi_label === true || labels.length === 1);
        const order = scores.map((_, place) => place).sort((left, right) => (scores[right] ?? 0) - (scores[left] ?? 0));
        return {
          sequence,
          labels: order.map((place) => labels[place] ?? ''),
          scores: order.map((place) => scores[place] ?? 0),
        };
      });
      return Array.isArray(input) ? results : results[0];
    },
  );
}

function candidates(given: unknown): string[] {
  const labels: unknown[] =
    typeof given === 'string'
      ? given.split(',').flatMap((label) => label.trim() || [])
      : Array.isArray(given)
        ? given
        : [];
  const texts = labels.filter((label): label is string => typeof label === 'string' && label !== '');
  if (texts.length > 0 && texts.length === labels.length) return texts;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `option 'candidate_labels' of ${where} must be a list of at least one label, not ${describeValue(given)}`,
  );
}

function hypothesesOf(labels: readonly string[], template: string): string[] {
  if (typeof template === 'string' && template.includes('{}')) {
    return labels.map((label) => template.split('{}').join(label));
  }
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `option 'hypothesis_template' of ${where} must have {} where the label goes, not ${describeValue(template)}`,
  );
}

/** The probability of each label: among all of them, or of following rather than contradicting. */
function scoresOf(
  model: EncoderModel<SequenceLogitsOutputs>,
  logits: readonly Float32Array[],
  separately: boolean,
): number[] {
  const count = logits[0]?.length ?? 0;
  const named = labelsOf(model, count).findIndex((label) => label.toLowerCase().startsWith('entail'));
  const entailment = named >= 0 ? named : count - 1;
  const contradiction = entailment === 0 ? count - 1 : 0;
  const scoreOf = (row: Float32Array, place: number) => row[place] ?? 0;
  if (!separately) return softmax(logits.map((row) => scoreOf(row, entailment)));
  return logits.map((row) => softmax([scoreOf(row, contradiction), scoreOf(row, entailment)])[1] ?? 0);
}
