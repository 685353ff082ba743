import { OctoformerError } from '../../binding/error';
import { describeValue } from '../../binding/options';
import { noBadWords, sequenceBias, suppressTokens, suppressTokensAtBegin } from './bias';
import { epsilonCutoff, etaCutoff, topH, typicalP } from './entropy_warpers';
import { exponentialDecay, forcedBos, forcedEos, minLength } from './lengths';
import { removeInvalidValues, renormalize } from './normalization';
import type { ProcessorSettings } from './options';
import { type LogitsProcessor, lowering, type Processor } from './processor';
import { encoderRepetitionPenalty, noRepeatEncoderNgrams, noRepeatNgrams, repetitionPenalty } from './repetition';
import { minP, temperature, topK, topP } from './warpers';

/** What processors know of the sequence that they work on. */
export interface ProcessorContext {
  /** Tokens that the sequence begins with: the prompt, or the decoder's start. */
  readonly promptLength: number;
  /** The encoder's input; for decoder-only models the prompt, as in Hugging Face. */
  readonly encoderIds: readonly number[];
  /** Prompt and new tokens at most. */
  readonly maxLength: number;
  readonly eosTokenIds: readonly number[];
  readonly vocabularySize: number;
  /** Tokens that cutting the distribution leaves at least: 1, and in beam search one more than there are end-of-sequence ids. */
  readonly leastTokens: number;
}

/** Whether the native sampler can't do what the settings ask for, so that logits must come to JavaScript. */
export function needsChain(settings: ProcessorSettings): boolean {
  const sampled =
    settings.doSample &&
    (settings.topH !== undefined ||
      settings.typicalP < 1 ||
      isCutoff(settings.epsilonCutoff) ||
      isCutoff(settings.etaCutoff));
  return (
    sampled ||
    settings.sequenceBias !== undefined ||
    settings.encoderRepetitionPenalty !== 1 ||
    settings.noRepeatNgramSize > 0 ||
    settings.encoderNoRepeatNgramSize > 0 ||
    settings.badWordsIds !== undefined ||
    settings.forcedBosTokenId !== undefined ||
    settings.forcedEosTokenIds !== undefined ||
    settings.removeInvalidValues ||
    settings.exponentialDecay !== undefined ||
    settings.suppressTokens !== undefined ||
    settings.beginSuppressTokens !== undefined ||
    settings.own.length > 0 ||
    settings.renormalize
  );
}

/**
 * All processors that the settings ask for as one, in Hugging Face's order (`_get_logits_processor` of transformers 5).
 * @throws OctoformerError INVALID_ARGUMENT for an id outside the vocabulary, or where a penalty needs an end-of-sequence id
 */
export function processorChain(settings: ProcessorSettings, context: ProcessorContext): Processor {
  checkIds(settings, context);
  const { promptLength, encoderIds, maxLength, eosTokenIds } = context;
  const leastLength = Math.max(
    settings.minLength,
    settings.minNewTokens > 0 ? promptLength + settings.minNewTokens : 0,
  );
  const begin = promptLength > 1 || settings.forcedBosTokenId === undefined ? promptLength : promptLength + 1;
  const chain: (Processor | false)[] = [
    settings.sequenceBias !== undefined && sequenceBias(settings.sequenceBias),
    settings.encoderRepetitionPenalty !== 1 && encoderRepetitionPenalty(settings.encoderRepetitionPenalty, encoderIds),
    settings.repetitionPenalty !== 1 && repetitionPenalty(settings.repetitionPenalty),
    settings.noRepeatNgramSize > 0 && noRepeatNgrams(settings.noRepeatNgramSize),
    settings.encoderNoRepeatNgramSize > 0 && noRepeatEncoderNgrams(settings.encoderNoRepeatNgramSize, encoderIds),
    settings.badWordsIds !== undefined && noBadWords(settings.badWordsIds, eosTokenIds),
    leastLength > 0 && minLength(leastLength, eosTokenIds),
    settings.forcedBosTokenId !== undefined && forcedBos(settings.forcedBosTokenId),
    settings.forcedEosTokenIds !== undefined && forcedEos(settings.forcedEosTokenIds, maxLength),
    settings.removeInvalidValues && removeInvalidValues(),
    settings.exponentialDecay !== undefined && exponentialDecay(settings.exponentialDecay, eosTokenIds, promptLength),
    settings.suppressTokens !== undefined && suppressTokens(settings.suppressTokens),
    settings.beginSuppressTokens !== undefined && suppressTokensAtBegin(settings.beginSuppressTokens, begin),
    ...settings.own.map(ownProcessor),
    ...(settings.doSample ? warpers(settings, context.leastTokens) : []),
    settings.renormalize && renormalize(),
  ];
  const asked = chain.filter((processor) => processor !== false);
  const process: Processor = (ids, scores) => {
    for (const processor of asked) processor(ids, scores);
  };
  const lowers = asked.map((processor) => processor.lowers).filter((known) => known !== undefined);
  if (lowers.length < asked.length) return process;
  return lowering((ids) => new Set(lowers.flatMap((known) => [...known(ids)])), process);
}

function warpers(settings: ProcessorSettings, least: number): (Processor | false)[] {
  return [
    settings.temperature !== 1 && temperature(settings.temperature),
    settings.topH !== undefined && topH(settings.topH),
    settings.topK > 0 && topK(settings.topK, least),
    settings.topP < 1 && topP(settings.topP, least),
    settings.minP > 0 && minP(settings.minP, least),
    settings.typicalP < 1 && typicalP(settings.typicalP, least),
    isCutoff(settings.epsilonCutoff) && epsilonCutoff(settings.epsilonCutoff, least),
    isCutoff(settings.etaCutoff) && etaCutoff(settings.etaCutoff, least),
  ];
}

function isCutoff(value: number): boolean {
  return value > 0 && value < 1;
}

/** Puts what an own processor returns into the scores. */
function ownProcessor(own: LogitsProcessor, index: number): Processor {
  return (ids, scores) => {
    const result: unknown = own(ids, scores);
    if (result === undefined || result === scores) return;
    if (!(result instanceof Float32Array) || result.length !== scores.length) {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        `logitsProcessors[${index}] returned ${describeValue(result)}, but must return a Float32Array of ${scores.length} scores, or nothing`,
      );
    }
    scores.set(result);
  };
}

function checkIds(settings: ProcessorSettings, { vocabularySize, eosTokenIds }: ProcessorContext): void {
  const used: Readonly<Record<string, readonly number[]>> = {
    sequence_bias: settings.sequenceBias?.flatMap(([sequence]) => sequence) ?? [],
    bad_words_ids: settings.badWordsIds?.flat() ?? [],
    forced_bos_token_id: settings.forcedBosTokenId === undefined ? [] : [settings.forcedBosTokenId],
    forced_eos_token_id: settings.forcedEosTokenIds ?? [],
  };
  for (const [name, ids] of Object.entries(used)) {
    const outside = ids.find((id) => id >= vocabularySize);
    if (outside === undefined) continue;
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `option '${name}' of generate() has the id ${outside}, but the vocabulary has ${vocabularySize} tokens`,
    );
  }
  if (settings.exponentialDecay !== undefined && eosTokenIds.length === 0) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      "option 'exponential_decay_length_penalty' of generate() makes the end of a sequence likelier, but there is no eos_token_id; give one",
    );
  }
}
