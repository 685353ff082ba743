import { OctoformerError } from '../binding/error';
import type { NativeRunRequest, NativeRunResult } from '../binding/native';
import { checkNumber, checkObject, checkOptions, describeValue } from '../binding/options';
import { checkLengths, numbersWithoutPadding, tokenSpans, withoutPadding, withPadding } from './attention_mask';
import {
  checkPlaces,
  type HeadDescription,
  headTensors,
  labelledPlaces,
  languageModelHead,
  lastRows,
  rowsAt,
} from './head_rows';
import { KVCache, nativeCache } from './kv_cache';
import type { LoadedModel } from './loaded_model';
import { attentionHeads } from './model';
import { splitRows, splitShapes, type Tensor } from './tensor';
import { concatenateIds, type TokenIds } from './token_ids';

/** What `forward` takes. Lists have one entry a sequence; sequences may have different lengths, and nothing is padded. */
export interface ForwardInputs {
  readonly input_ids: TokenIds;
  /** Default: 0, 1, ... of each sequence, going on from its `past`. */
  readonly position_ids?: TokenIds;
  /** 1 for a token, 0 for padding before or behind the tokens, whose rows in outputs are zeros; positions count it, as in Hugging Face. */
  readonly attention_mask?: TokenIds;
  /** A cache a sequence (one alone for one sequence): its tokens come before `input_ids`, which join it. */
  readonly past?: KVCache | readonly (KVCache | null)[];
  readonly output_hidden_states?: boolean;
  readonly output_attentions?: boolean;
  /** Of models with a mixture of experts. */
  readonly output_router_logits?: boolean;
  /** Gives `past` back: new caches where none was given. */
  readonly use_cache?: boolean;
  /** Logits of this many last tokens of each sequence only; 0 (default): of all. */
  readonly logits_to_keep?: number;
}

/** The same for a decoder with any head, or none. */
export interface DecoderInputs extends ForwardInputs {
  /** Of models with a label a token: places in each sequence whose logits are computed, in any order; all by default. */
  readonly logits_at?: TokenIds;
}

/** What every decoder gives: one tensor a sequence, without a batch dimension. */
export interface DecoderOutputs {
  /** `[tokens, features]`, after the final norm. */
  readonly last_hidden_state: readonly Tensor[];
  /** By layer, then by sequence: `[tokens, features]`; 0 enters the first layer, the last is after the final norm. */
  readonly hidden_states?: readonly (readonly Tensor[])[];
  /** By layer, then by sequence: probabilities `[heads, tokens, past + tokens]`. */
  readonly attentions?: readonly (readonly Tensor[])[];
  /** By layer that has experts, then by sequence: what the router gave, `[tokens, experts]`. */
  readonly router_logits?: readonly (readonly Tensor[])[];
  /** With `use_cache`: a cache a sequence, the caller's to dispose. */
  readonly past?: readonly KVCache[];
}

/** The same with scores of the next token: `[tokens, vocabulary]`. */
export interface ForwardOutputs extends DecoderOutputs {
  readonly logits: readonly Tensor[];
}

const where = 'forward()';
const known = [
  'input_ids',
  'position_ids',
  'attention_mask',
  'past',
  'output_hidden_states',
  'output_attentions',
  'output_router_logits',
  'use_cache',
];

/** Inputs of Hugging Face's models that ours don't take, and what there is instead. */
export const otherInputs = {
  past_key_values: "caches are given as 'past'",
  inputs_embeds: 'tokens are given as ids',
  labels: 'there is no loss; compute it from the logits',
  return_dict: 'outputs always have names',
  cache_position: "'past' says how many tokens come before",
} as const;

const unsupported = {
  ...otherInputs,
  token_type_ids: 'decoder-only models have no token types',
  decoder_input_ids: 'decoder-only models have no second sequence',
  logits_to_keep: 'it is for language models',
  logits_at: 'it is for models that give each token a label',
};

/** A checked call of `forward`: the request that the runtime gets, and how to read its answer. */
export interface PreparedForward {
  readonly request: Omit<NativeRunRequest, 'abort'>;
  /** `logits` are there where the model has them. */
  readonly read: (result: NativeRunResult) => DecoderOutputs & Partial<ForwardOutputs>;
}

/** @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION */
export function prepareForward(
  inputs: DecoderInputs,
  model: LoadedModel,
  head: HeadDescription,
  createCache: () => KVCache,
): PreparedForward {
  checkObject(`the inputs of ${where}`, inputs);
  checkOptions(where, inputs, [...known, ...rowOptions(head)], unsupported);
  const spans = tokenSpans(where, inputs, ['before', 'behind']);
  if (!spans) return prepareTokens(inputs, model, head, createCache);
  const { input_ids, position_ids = model.skipsPadding ? undefined : placesOf(inputs) } = inputs;
  const tokens = {
    ...inputs,
    input_ids: withoutPadding(input_ids, spans),
    ...(position_ids
      ? { position_ids: numbersWithoutPadding(where, 'position_ids', position_ids, input_ids, spans) }
      : {}),
  };
  const { request, read } = prepareTokens(tokens, model, head, createCache);
  const each = head.rows === 'all' && !inputs.logits_to_keep && !inputs.logits_at;
  const axes = {
    ...(each ? Object.fromEntries(head.outputs.map((name) => [name, [0]])) : {}),
    last_hidden_state: [0],
    hidden_states: [0],
    attentions: [1, 2],
    router_logits: [0],
  };
  return { request, read: (result) => withPadding(read(result), axes, spans) };
}

/** Options that say which rows the head is asked about. */
function rowOptions(head: HeadDescription): readonly (keyof DecoderInputs)[] {
  if (head === languageModelHead) return ['logits_to_keep'];
  return head.rows === 'all' ? ['logits_at'] : [];
}

/** Positions that count everything in `input_ids`, going on from the past. */
function placesOf({ input_ids, past = [] }: ForwardInputs): TokenIds {
  const pasts = past instanceof KVCache ? [past] : past;
  return input_ids.map((ids, index) => ids.map((_, place) => (pasts[index]?.length ?? 0) + place));
}

function prepareTokens(
  inputs: DecoderInputs,
  model: LoadedModel,
  head: HeadDescription,
  createCache: () => KVCache,
): PreparedForward {
  const input_ids = concatenateIds(where, 'input_ids', inputs.input_ids, model.vocabularySize);
  const lengths = inputs.input_ids.map((sequence) => sequence.length);
  const position_ids = positions(inputs);
  const { rows, counts } = askedRows(inputs, lengths, model, head);
  const caches = cachesOf(inputs.past, lengths.length, inputs.use_cache, createCache);
  const pastLengths = caches.map((cache) => cache?.length ?? 0);
  const hidden = inputs.output_hidden_states ? numbered(model.outputs, 'hidden_states.') : [];
  const attentions = inputs.output_attentions ? numbered(model.outputs, 'attentions.') : [];
  const heads = attentionHeads(model.program.ops, 'attention');
  const headOutputs = head.outputs.filter((name) => model.outputs.has(name));
  const routers = inputs.output_router_logits ? numbered(model.outputs, 'router_logits.') : [];
  const request = {
    input_ids,
    lengths: Int32Array.from(lengths),
    caches: caches.map((cache) => (cache ? nativeCache(cache) : null)),
    ...(position_ids ? { position_ids } : {}),
    rows,
    outputs: [...headOutputs, 'last_hidden_state', ...hidden, ...attentions, ...routers],
  };
  const read = ({ outputs }: NativeRunResult) => ({
    ...Object.fromEntries(headOutputs.map((name) => [name, headTensors(output(outputs, name), counts, head.flat)])),
    last_hidden_state: splitRows(output(outputs, 'last_hidden_state'), lengths),
    ...(inputs.output_hidden_states
      ? { hidden_states: hidden.map((name) => splitRows(output(outputs, name), lengths)) }
      : {}),
    ...(inputs.output_attentions
      ? {
          attentions: attentions.map((name, layer) => {
            const shapes = lengths.map((length, index) => [
              heads[layer] ?? 0,
              length,
              (pastLengths[index] ?? 0) + length,
            ]);
            return splitShapes(output(outputs, name), shapes);
          }),
        }
      : {}),
    ...(inputs.output_router_logits
      ? { router_logits: routers.map((name) => splitRows(output(outputs, name), lengths)) }
      : {}),
    ...(inputs.use_cache ? { past: caches.filter((cache) => cache !== null) } : {}),
  });
  return { request, read };
}

/** The rows that the head is asked about, and how many of them each sequence has. */
function askedRows(
  { input_ids, logits_to_keep, logits_at }: DecoderInputs,
  lengths: readonly number[],
  { config }: LoadedModel,
  head: HeadDescription,
): { readonly rows: Int32Array; readonly counts: readonly number[] } {
  if (logits_at) checkPlaces(where, logits_at, lengths);
  const labelled =
    head.rows === 'first' ? labelledPlaces(input_ids, config.pad_token_id).map((place) => [place]) : undefined;
  const places = labelled ?? logits_at;
  if (places) return { rows: rowsAt(places, lengths), counts: places.map((list) => list.length) };
  const keep = checkNumber(where, 'logits_to_keep', logits_to_keep ?? 0, { least: 0, integer: true });
  const counts = lengths.map((length) => (keep === 0 ? length : Math.min(keep, length)));
  return { rows: lastRows(lengths, counts), counts };
}

/** An output that was asked for. */
export function output(outputs: NativeRunResult['outputs'], name: string): Float32Array {
  const data = outputs[name];
  if (data) return data;
  throw new OctoformerError('INTERNAL', `the runtime gave no output '${name}'`);
}

/** Output names with this prefix, by number. */
export function numbered(outputs: ReadonlySet<string>, prefix: string): string[] {
  const names: string[] = [];
  while (outputs.has(`${prefix}${names.length}`)) names.push(`${prefix}${names.length}`);
  return names;
}

function positions({ position_ids, input_ids }: ForwardInputs): Int32Array | undefined {
  if (position_ids === undefined) return undefined;
  const all = concatenateIds(where, 'position_ids', position_ids, 2 ** 31 - 1);
  checkLengths(where, 'position_ids', position_ids, input_ids);
  return all;
}

/** A cache for each of `count` sequences: the one given, a new one where it is asked for, or none. */
export function cachesOf(
  past: ForwardInputs['past'],
  count: number,
  use_cache: boolean | undefined,
  create: () => KVCache,
): (KVCache | null)[] {
  const given: readonly unknown[] =
    past === undefined ? Array<null>(count).fill(null) : past instanceof KVCache ? [past] : past;
  if (!Array.isArray(given) || given.length !== count) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: past must have one cache (or null) a sequence: ${count}, not ${describeValue(past)}`,
    );
  }
  return given.map((cache: unknown) => {
    if (cache instanceof KVCache) return cache;
    if (cache === null) return use_cache ? create() : null;
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: past has ${describeValue(cache)} where a cache of model.createCache() is expected`,
    );
  });
}
