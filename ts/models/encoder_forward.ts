import { OctoformerError } from '../binding/error';
import type { NativeRunRequest, NativeRunResult } from '../binding/native';
import { checkObject, checkOptions } from '../binding/options';
import {
  checkLengths,
  numbersWithoutPadding,
  paddedPositions,
  type TokenSpan,
  tokenSpans,
  withoutPadding,
  withPadding,
} from './attention_mask';
import { numbered, otherInputs, output } from './forward';
import { checkPlaces, type HeadDescription, headTensors, rowsAt } from './head_rows';
import type { LoadedModel } from './loaded_model';
import { attentionHeads } from './model';
import { splitRows, splitShapes, type Tensor } from './tensor';
import { concatenateIds, type TokenIds } from './token_ids';

/** What `forward` of an encoder takes. Lists have one entry a sequence; sequences may have different lengths, and nothing is padded. */
export interface EncoderInputs {
  readonly input_ids: TokenIds;
  /** Which of two texts a token belongs to; 0 by default. */
  readonly token_type_ids?: TokenIds;
  /** As Hugging Face's class computes them by default (0, 1, ... in most families). */
  readonly position_ids?: TokenIds;
  /**
   * 1 for a token, 0 for padding before or behind the tokens, whose rows in outputs are zeros; positions count it as Hugging Face's class does.
   * Python reads a sequence's label from the padding that comes first: that is refused, and `pooler_output` left out there.
   */
  readonly attention_mask?: TokenIds;
  /** Encoders keep no cache, so that false is what there is. */
  readonly use_cache?: boolean;
  readonly output_hidden_states?: boolean;
  readonly output_attentions?: boolean;
  /** Places in each sequence whose logits are computed, in any order; all by default. For models with logits for each token. */
  readonly logits_at?: TokenIds;
}

/** What every encoder gives: one tensor a sequence, without a batch dimension. */
export interface EncoderOutputs {
  /** `[tokens, features]`. */
  readonly last_hidden_state: readonly Tensor[];
  /** By layer, then by sequence: `[tokens, features]`; 0 enters the first layer, the last is `last_hidden_state`. */
  readonly hidden_states?: readonly (readonly Tensor[])[];
  /** By layer, then by sequence: probabilities `[heads, tokens, tokens]`. */
  readonly attentions?: readonly (readonly Tensor[])[];
}

const where = 'forward()';
const known = [
  'input_ids',
  'token_type_ids',
  'position_ids',
  'attention_mask',
  'use_cache',
  'output_hidden_states',
  'output_attentions',
];
const unsupported = {
  ...otherInputs,
  decoder_input_ids: 'encoders have no second sequence',
  past: 'encoders see all of a sequence at once and keep no cache',
};

/** A checked call of `forward`: the request that the runtime gets, and how to read its answer. */
export interface PreparedEncoderForward {
  readonly request: Omit<NativeRunRequest, 'abort'>;
  readonly read: (result: NativeRunResult) => EncoderOutputs & Readonly<Record<string, unknown>>;
}

/** @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION */
export function prepareEncoderForward(
  inputs: EncoderInputs,
  model: LoadedModel,
  head: HeadDescription,
): PreparedEncoderForward {
  const types = model.program.ops.some((op) => op.op === 'embedding' && op.index === 'token_type_ids');
  checkObject(`the inputs of ${where}`, inputs);
  checkOptions(where, inputs, head.rows === 'all' ? [...known, 'logits_at'] : known, {
    ...unsupported,
    logits_at: 'this model gives one answer a sequence',
  });
  if (inputs.use_cache) {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `option 'use_cache' of ${where} is not implemented: ${unsupported.past}; leave it out`,
    );
  }
  if (inputs.token_type_ids !== undefined && !types) {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `option 'token_type_ids' of ${where}: models of type '${String(model.config.model_type)}' have no token types; leave it out`,
    );
  }
  const spans = tokenSpans(where, inputs, ['before', 'behind']);
  if (!spans) return prepareTokens(inputs, model, head);
  const { input_ids, token_type_ids } = inputs;
  const { position_ids = paddedPositions(input_ids, model.positions) } = inputs;
  const cut = (name: 'token_type_ids' | 'position_ids', given: TokenIds | undefined) =>
    given === undefined ? {} : { [name]: numbersWithoutPadding(where, name, given, input_ids, spans) };
  const tokens = {
    ...inputs,
    input_ids: withoutPadding(input_ids, spans),
    ...cut('token_type_ids', token_type_ids),
    ...cut('position_ids', position_ids),
  };
  const { request, read } = prepareTokens(tokens, model, readableHead(head, model, spans));
  const axes = {
    last_hidden_state: [0],
    hidden_states: [0],
    attentions: [1, 2],
    ...(head.rows === 'all' && !inputs.logits_at ? Object.fromEntries(head.outputs.map((name) => [name, [0]])) : {}),
  };
  return { request, read: (result) => withPadding(read(result), axes, spans) };
}

/**
 * The head without what it would read from a first token that is padding, which Python computes and we don't.
 * @throws OctoformerError UNSUPPORTED_OPTION where that is the answer
 */
function readableHead(head: HeadDescription, model: LoadedModel, spans: readonly TokenSpan[]): HeadDescription {
  const padded = spans.findIndex(({ first }) => first > 0);
  if (head.rows === 'all' || padded < 0) return head;
  if (model.outputs.has('logits')) {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `${where}: attention_mask[${padded}] begins with padding, which Python's class would read the label from; put it behind the tokens ` +
        '(or give sequences without padding: they may have different lengths)',
    );
  }
  return { ...head, outputs: [] };
}

function prepareTokens(inputs: EncoderInputs, model: LoadedModel, head: HeadDescription): PreparedEncoderForward {
  const { input_ids } = inputs;
  const ids = concatenateIds(where, 'input_ids', input_ids, model.vocabularySize);
  const lengths = input_ids.map((sequence) => sequence.length);
  const given = (name: 'token_type_ids' | 'position_ids') => checkedLike(name, inputs[name], input_ids);
  const token_type_ids = given('token_type_ids');
  const position_ids =
    given('position_ids') ??
    (model.positions && Int32Array.from(input_ids.flatMap((one) => model.positions?.(one) ?? [])));
  const places = head.rows === 'first' ? lengths.map(() => [0]) : inputs.logits_at;
  if (places && head.rows === 'all') checkPlaces(where, places, lengths);
  const asked = places ?? lengths.map((length) => Array.from({ length }, (_, place) => place));
  const hidden = inputs.output_hidden_states ? numbered(model.outputs, 'hidden_states.') : [];
  const attentions = inputs.output_attentions ? numbered(model.outputs, 'attentions.') : [];
  const heads = attentionHeads(model.program.ops, 'attention');
  const headOutputs = head.outputs.filter((name) => model.outputs.has(name));
  const request = {
    input_ids: ids,
    lengths: Int32Array.from(lengths),
    caches: lengths.map(() => null),
    ...(position_ids ? { position_ids } : {}),
    ...(token_type_ids ? { token_type_ids } : {}),
    rows: rowsAt(asked, lengths),
    outputs: ['last_hidden_state', ...headOutputs, ...hidden, ...attentions],
  };
  const read = ({ outputs }: NativeRunResult) => ({
    last_hidden_state: splitRows(output(outputs, 'last_hidden_state'), lengths),
    ...Object.fromEntries(
      headOutputs.map((name) => [
        name,
        headTensors(
          output(outputs, name),
          asked.map((list) => list.length),
          head.flat,
        ),
      ]),
    ),
    ...(inputs.output_hidden_states
      ? { hidden_states: hidden.map((name) => splitRows(output(outputs, name), lengths)) }
      : {}),
    ...(inputs.output_attentions
      ? {
          attentions: attentions.map((name, layer) =>
            splitShapes(
              output(outputs, name),
              lengths.map((length) => [heads[layer] ?? 0, length, length]),
            ),
          ),
        }
      : {}),
  });
  return { request, read };
}

function checkedLike(
  name: 'token_type_ids' | 'position_ids',
  given: TokenIds | undefined,
  input_ids: TokenIds,
): Int32Array | undefined {
  if (given === undefined) return undefined;
  const all = concatenateIds(where, name, given, 2 ** 31 - 1);
  checkLengths(where, name, given, input_ids);
  return all;
}
