import { OctoformerError } from '../binding/error';
import { checkObject, checkOptions, describeValue } from '../binding/options';
import { type TokenSpan, tokenSpans, withoutPadding } from '../models/attention_mask';
import { otherInputs } from '../models/forward';
import { KVCache } from '../models/kv_cache';
import type { Model } from '../models/model';
import { concatenateIds, type TokenIds } from '../models/token_ids';
import { BeamRun } from './beam_run';
import type { FinishReason } from './ending';
import type { GenerationExtras, GenerationRun, GenerationStatistics } from './generation_run';
import { type GenerateOptions, generationSettings } from './options';
import { TokenRun } from './token_run';

/** The prompts of `generate`, of any lengths. */
export interface GenerateInputs {
  readonly input_ids: TokenIds;
  /** 1 for a token, 0 for padding before the tokens, which nothing looks at; sequences begin with it all the same. */
  readonly attention_mask?: TokenIds;
  /**
   * A cache a sequence (one alone for one sequence) that has the beginning of its prompt, which is not computed again. It grows
   * by what is computed, so that it can begin the next turn, and stays the caller's.
   */
  readonly past?: KVCache | readonly (KVCache | null)[];
}

export interface GenerateOutput extends GenerationExtras {
  /** Each prompt with its new tokens, the one that ended it among them; `num_return_sequences` of each prompt, one after another. */
  readonly sequences: number[][];
  readonly finishReasons: readonly FinishReason[];
  readonly statistics: GenerationStatistics;
}

/**
 * Tokens of a sequence in one call of the runtime where nobody looks at them in between. The way through JavaScript takes a few percent of
 * what a small model's token does: of 16 nothing is left of that, and other calls of the model soon get their turn all the same.
 */
const tokensPerCall = 16;

const where = 'generate()';

/** Checks the inputs and begins a generation, for callers that want every step. Its sequences begin without the padding of their prompts. */
export function beginGeneration(model: Model, inputs: GenerateInputs, options: GenerateOptions): GenerationRun {
  return begin(model, inputs, options).run;
}

/** The same, and where the tokens of padded prompts are. */
function begin(
  model: Model,
  inputs: GenerateInputs,
  options: GenerateOptions,
): { readonly run: GenerationRun; readonly spans: readonly TokenSpan[] | undefined } {
  checkObject(`the inputs of ${where}`, inputs);
  checkOptions(`the inputs of ${where}`, inputs, ['input_ids', 'attention_mask', 'past'], otherInputs);
  checkObject(`the options of ${where}`, options);
  if (options.decoder_start_token_id !== undefined) {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      "option 'decoder_start_token_id' of generate() is for encoder-decoder models; a decoder alone goes on with its prompt",
    );
  }
  const spans = tokenSpans(where, inputs, ['before']);
  const input_ids = spans ? withoutPadding(inputs.input_ids, spans) : inputs.input_ids;
  concatenateIds(where, 'input_ids', input_ids, model.vocabularySize);
  const count = input_ids.length;
  const settings = generationSettings(options, model.generationConfig, model.config, count);
  const Run = settings.numBeams > 1 ? BeamRun : TokenRun;
  return { run: new Run(model, input_ids, pastCaches(inputs.past, count), settings), spans };
}

/**
 * Continues prompts token by token, or by beam search. A batch gives every sequence the same tokens as it would get alone; sequences that end leave the batch.
 * A prompt longer than `max_position_embeddings` throws; a sequence that reaches that length ends with reason `context`.
 * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION, CONTEXT_OVERFLOW, ABORTED, DISPOSED, OUT_OF_MEMORY
 */
export async function generate(
  model: Model,
  inputs: GenerateInputs,
  options: GenerateOptions = {},
): Promise<GenerateOutput> {
  const { run, spans } = begin(model, inputs, options);
  const output = await runGeneration(run, options);
  if (!spans) return output;
  const copies = output.sequences.length / spans.length;
  const sequences = output.sequences.map((ids, index) => {
    const prompt = Math.floor(index / copies);
    return [...(inputs.input_ids[prompt] ?? []).slice(0, spans[prompt]?.first), ...ids];
  });
  return { ...output, sequences };
}

/** Steps until everything is done, and disposes of the run. */
export async function runGeneration(run: GenerationRun, { streamer }: GenerateOptions): Promise<GenerateOutput> {
  try {
    streamer?.put([...(run.sequences[0] ?? [])]);
    while (!run.done) {
      const gained = await run.step(streamer ? 1 : tokensPerCall);
      if (streamer && gained > 0) streamer.put(run.lastTokens(gained));
    }
    streamer?.end();
    return {
      sequences: run.sequences,
      finishReasons: run.finishReasons,
      statistics: run.statistics,
      ...run.extras,
    };
  } finally {
    run.dispose();
  }
}

function pastCaches(past: GenerateInputs['past'], count: number): readonly (KVCache | null)[] | undefined {
  if (past === undefined) return undefined;
  const caches: readonly unknown[] = past instanceof KVCache ? [past] : past;
  const valid = Array.isArray(caches) && caches.length === count;
  if (valid && caches.every((cache): cache is KVCache | null => cache === null || cache instanceof KVCache))
    return caches;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `generate(): past must have one cache (or null) a sequence: ${count}, not ${describeValue(past)}`,
  );
}
