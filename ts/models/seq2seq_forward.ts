import { OctoformerError } from '../binding/error';
import type { NativeRunRequest, NativeRunResult } from '../binding/native';
import { checkNumber, checkObject, checkOptions } from '../binding/options';
import { paddedPositions, type TokenSpan, tokenSpans, withoutPadding, withPadding } from './attention_mask';
import { cachesOf, numbered, otherInputs, output } from './forward';
import { type HeadDescription, headTensors, languageModelHead, lastRows } from './head_rows';
import { type KVCache, nativeCache } from './kv_cache';
import type { LoadedModel } from './loaded_model';
import { attentionHeads } from './model';
import { splitRows, splitShapes, type Tensor } from './tensor';
import { concatenateIds, type TokenIds } from './token_ids';

/** What `forward` of an encoder-decoder takes. Lists have one entry a sequence; sequences may have different lengths, and nothing is padded. */
export interface Seq2SeqInputs {
  /** What the encoder reads. To be left out where `past` is given, which holds what was made of it. */
  readonly input_ids?: TokenIds;
  /**
   * 1 for a token of `input_ids`, 0 for padding before or behind the tokens, whose rows and columns in outputs are zeros; positions count it as
   * Hugging Face's class does.
   */
  readonly attention_mask?: TokenIds;
  /** What the decoder reads, the start token first. */
  readonly decoder_input_ids?: TokenIds;
  /** A cache a sequence (one alone for one sequence) of an earlier call: its tokens come before `decoder_input_ids`, which join it. */
  readonly past?: KVCache | readonly KVCache[];
  readonly output_hidden_states?: boolean;
  readonly output_attentions?: boolean;
  /** Gives `past` back: new caches where none was given. */
  readonly use_cache?: boolean;
  /** Logits of this many last tokens of each sequence only; 0 (default): of all. */
  readonly logits_to_keep?: number;
}

/** What every encoder-decoder gives: one tensor a sequence, without a batch dimension. By layer first, where there are layers. */
export interface EncoderDecoderOutputs {
  /** The decoder's, `[tokens, features]`. */
  readonly last_hidden_state: readonly Tensor[];
  /** `[tokens of the encoder, features]`; absent where `past` was given instead of `input_ids`, as all of the encoder's are. */
  readonly encoder_last_hidden_state?: readonly Tensor[];
  readonly encoder_hidden_states?: readonly (readonly Tensor[])[];
  readonly decoder_hidden_states?: readonly (readonly Tensor[])[];
  /** Probabilities `[heads, tokens, tokens]` of the encoder's tokens. */
  readonly encoder_attentions?: readonly (readonly Tensor[])[];
  /** Probabilities `[heads, tokens, past + tokens]` of the decoder's tokens. */
  readonly decoder_attentions?: readonly (readonly Tensor[])[];
  /** Probabilities `[heads, tokens, tokens of the encoder]`. */
  readonly cross_attentions?: readonly (readonly Tensor[])[];
  /** With `use_cache`: a cache a sequence, the caller's to dispose. */
  readonly past?: readonly KVCache[];
}

/** The same with scores of the next token: `[tokens, vocabulary]`. */
export interface Seq2SeqOutputs extends EncoderDecoderOutputs {
  readonly logits: readonly Tensor[];
}

/** A checked call of `forward`: the request that the runtime gets, and how to read its answer. */
export interface PreparedSeq2SeqForward {
  readonly request: Omit<NativeRunRequest, 'abort'>;
  readonly read: (result: NativeRunResult) => EncoderDecoderOutputs & Readonly<Record<string, unknown>>;
}

const where = 'forward()';
const known = [
  'input_ids',
  'attention_mask',
  'decoder_input_ids',
  'past',
  'output_hidden_states',
  'output_attentions',
  'use_cache',
];
const unsupported = {
  ...otherInputs,
  encoder_outputs: "'past' of an earlier call holds what was encoded",
  decoder_attention_mask: 'decoder_input_ids have their own lengths, without padding',
  token_type_ids: 'encoder-decoder models have no token types',
  position_ids: 'positions of encoder-decoder models are 0, 1, 2, ...',
  logits_to_keep: 'it is for language models',
};

/** @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION */
export function prepareSeq2SeqForward(
  inputs: Seq2SeqInputs,
  model: LoadedModel,
  head: HeadDescription,
  createCache: () => KVCache,
): PreparedSeq2SeqForward {
  const { outputs, program } = model;
  checkObject(`the inputs of ${where}`, inputs);
  checkOptions(where, inputs, head === languageModelHead ? [...known, 'logits_to_keep'] : known, unsupported);
  const spans = tokenSpans(where, inputs, ['before', 'behind']);
  const encoder = encoderInput(inputs, model, spans);
  const { decoderIds: shifted } = model;
  const decoderIds = inputs.decoder_input_ids ?? (shifted && inputs.input_ids?.map(shifted));
  const decoder_input_ids = concatenateIds(
    where,
    'decoder_input_ids',
    decoderIds as TokenIds,
    decoderVocabularySize(model),
  );
  const lengths = (decoderIds ?? []).map((ids) => ids.length);
  const encoderLengths = encoder && [...encoder.lengths];
  if (encoderLengths && encoderLengths.length !== lengths.length) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: there are ${encoderLengths.length} input_ids and ${lengths.length} decoder_input_ids; give one of each a sequence`,
    );
  }
  const caches = cachesOf(inputs.past, lengths.length, inputs.use_cache, createCache);
  const keep = checkNumber(where, 'logits_to_keep', inputs.logits_to_keep ?? 0, { least: 0, integer: true });
  const headOutputs = head.outputs.filter((name) => outputs.has(name));
  const ends = head.rows === 'first' && headOutputs.length > 0 ? lastEnds(inputs.input_ids ?? [], lengths, model) : [];
  const kept = lengths.map((length) => (head.rows === 'first' ? 1 : keep === 0 ? length : Math.min(keep, length)));
  const pastLengths = caches.map((cache) => cache?.length ?? 0);
  const memoryLengths = encoderLengths ?? caches.map((cache) => cache?.encodedLength ?? 0);

  const layers = (wanted: boolean | undefined, prefix: string) => (wanted ? numbered(outputs, prefix) : []);
  const { output_hidden_states: states, output_attentions: attentions } = inputs;
  const hidden = layers(states, 'hidden_states.');
  const encoderHidden = layers(states && encoder !== undefined, 'encoder_hidden_states.');
  const self = layers(attentions, 'attentions.');
  const cross = layers(attentions, 'cross_attentions.');
  const encoderSelf = layers(attentions && encoder !== undefined, 'encoder_attentions.');
  const position_ids = model.positions && decoderPositions(decoderIds ?? [], pastLengths, model.positions);
  const request = {
    input_ids: decoder_input_ids,
    ...(position_ids ? { position_ids } : {}),
    lengths: Int32Array.from(lengths),
    caches: caches.map((cache) => (cache ? nativeCache(cache) : null)),
    ...(encoder ? { encoder } : {}),
    rows: headOutputs.length === 0 || head.rows === 'first' ? Int32Array.from(ends) : lastRows(lengths, kept),
    outputs: [
      ...headOutputs,
      'last_hidden_state',
      ...(encoder ? ['encoder_last_hidden_state'] : []),
      ...[hidden, encoderHidden, self, cross, encoderSelf].flat(),
    ],
  };
  const encoderOps = program.encoder?.ops ?? [];
  const axes = {
    encoder_last_hidden_state: [0],
    encoder_hidden_states: [0],
    encoder_attentions: [1, 2],
    cross_attentions: [2],
  };
  const read = ({ outputs: given }: NativeRunResult) => {
    const rows = (names: readonly string[], counts: readonly number[]) =>
      names.map((name) => splitRows(output(given, name), counts));
    const probabilities = (
      names: readonly string[],
      heads: readonly number[],
      queries: readonly number[],
      keys: readonly number[],
    ) =>
      names.map((name, layer) =>
        splitShapes(
          output(given, name),
          queries.map((count, index) => [heads[layer] ?? 0, count, keys[index] ?? 0]),
        ),
      );
    const all = lengths.map((length, index) => length + (pastLengths[index] ?? 0));
    return {
      ...Object.fromEntries(headOutputs.map((name) => [name, headTensors(output(given, name), kept, head.flat)])),
      last_hidden_state: splitRows(output(given, 'last_hidden_state'), lengths),
      ...(encoderLengths
        ? { encoder_last_hidden_state: splitRows(output(given, 'encoder_last_hidden_state'), encoderLengths) }
        : {}),
      ...(states ? { decoder_hidden_states: rows(hidden, lengths) } : {}),
      ...(states && encoderLengths ? { encoder_hidden_states: rows(encoderHidden, encoderLengths) } : {}),
      ...(attentions
        ? {
            decoder_attentions: probabilities(self, attentionHeads(program.ops, 'attention'), lengths, all),
            cross_attentions: probabilities(
              cross,
              attentionHeads(program.ops, 'cross_attention'),
              lengths,
              memoryLengths,
            ),
          }
        : {}),
      ...(attentions && encoderLengths
        ? {
            encoder_attentions: probabilities(
              encoderSelf,
              attentionHeads(encoderOps, 'attention'),
              encoderLengths,
              encoderLengths,
            ),
          }
        : {}),
      ...(inputs.use_cache ? { past: caches.filter((cache) => cache !== null) } : {}),
    };
  };
  return { request, read: (result) => (spans ? withPadding(read(result), axes, spans) : read(result)) };
}

/** Rows of the decoder's tokens at the last end-of-sequence id of each of the encoder's sequences: what a label is read from. */
function lastEnds(input_ids: TokenIds, lengths: readonly number[], { config }: LoadedModel): number[] {
  const { eos_token_id } = config;
  let first = 0;
  return lengths.map((length, index) => {
    const place = input_ids[index]?.lastIndexOf(Number(eos_token_id)) ?? -1;
    if (place < 0 || place >= length) {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        `${where}: input_ids[${index}] must have the end-of-sequence id ${String(eos_token_id)} at a place that the decoder's sequence has too: ` +
          'the label is read from there',
      );
    }
    first += length;
    return first - length + place;
  });
}

/** Places of the decoder's tokens, where padding has none: they go on after all tokens of the past. */
function decoderPositions(
  ids: TokenIds,
  past: readonly number[],
  positions: NonNullable<LoadedModel['positions']>,
): Int32Array {
  return Int32Array.from(
    ids.flatMap((sequence, index) => positions(sequence).map((position) => (past[index] ?? 0) + position)),
  );
}

/** Tokens that the decoder has embeddings for. */
export function decoderVocabularySize({ program, vocabularySize }: LoadedModel): number {
  const op = program.ops.find((one) => one.op === 'embedding' && one.index === 'input_ids');
  return (op?.op === 'embedding' ? program.weights[op.table]?.shape[0] : undefined) ?? vocabularySize;
}

/**
 * What the runtime is given for the encoder, where it has something to do.
 * @param spans where the tokens of `input_ids` are, if some have padding
 */
export function encoderInput(
  { input_ids, past }: Pick<Seq2SeqInputs, 'input_ids' | 'past'>,
  model: LoadedModel,
  spans?: readonly TokenSpan[],
): NativeRunRequest['encoder'] {
  if (input_ids === undefined && past !== undefined) return undefined;
  const cut = (sequences: TokenIds) => (spans ? withoutPadding(sequences, spans) : sequences);
  const tokens = input_ids && cut(input_ids);
  const ids = concatenateIds(where, 'input_ids', tokens as TokenIds, model.vocabularySize);
  const lengths = (tokens ?? []).map((sequence) => sequence.length);
  const counted = input_ids && (spans || model.positions) && paddedPositions(input_ids, model.positions);
  const positions = counted && cut(counted).flat();
  return {
    input_ids: ids,
    lengths: Int32Array.from(lengths),
    ...(positions ? { position_ids: Int32Array.from(positions) } : {}),
  };
}
