import { callNative, nativeAddon } from '../binding/load';
import type { NativeSampler } from '../binding/native';
import type { GenerationSettings } from './options';
import { needsChain, type ProcessorContext, processorChain } from './processors/chain';
import type { Processor } from './processors/processor';

/** How the next token of a sequence is chosen. */
export interface TokenChoice {
  /** Chooses from logits inside the run, or after the processors here; draw n depends on the seed and n only, in both. */
  readonly sampler: NativeSampler;
  /** What is to be done to logits before; undefined where the sampler does all of it. */
  readonly processors: Processor | undefined;
}

/** Whether scores must come to JavaScript before a token is chosen. */
export function usesProcessors(settings: GenerationSettings): boolean {
  return settings.outputScores || needsChain(settings);
}

/** @throws OctoformerError INVALID_ARGUMENT as `processorChain` does */
export function tokenChoice(
  settings: GenerationSettings,
  context: ProcessorContext,
  promptIds: readonly number[],
  seed: bigint,
): TokenChoice {
  const { Sampler } = nativeAddon();
  const processors = usesProcessors(settings) ? processorChain(settings, context) : undefined;
  const choice = { do_sample: settings.doSample, seed };
  const sampler = callNative(() =>
    processors
      ? new Sampler({
          ...choice,
          temperature: 1,
          top_k: 0,
          top_p: 1,
          min_p: 0,
          repetition_penalty: 1,
          eos_token_ids: new Int32Array(),
          min_new_tokens: 0,
          prompt_ids: new Int32Array(),
        })
      : new Sampler({
          ...choice,
          temperature: settings.temperature,
          top_k: settings.topK,
          top_p: settings.topP || Number.EPSILON, // 0, as in Python: the likeliest token alone
          min_p: settings.minP,
          repetition_penalty: settings.repetitionPenalty,
          eos_token_ids: Int32Array.from(context.eosTokenIds.filter((id) => id < context.vocabularySize)),
          min_new_tokens: Math.max(settings.minNewTokens, settings.minLength - promptIds.length, 0),
          prompt_ids: Int32Array.from(promptIds),
        }),
  );
  return { sampler, processors };
}
