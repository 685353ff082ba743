import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import type { Tensor } from './tensor';
import { checkSequences, type TokenIds } from './token_ids';

/** The places of a padded sequence that have tokens: [first, end) of `length`. */
export interface TokenSpan {
  readonly first: number;
  readonly end: number;
  readonly length: number;
}

/** Where a kind of model may have padding: before its tokens, behind them, or both. */
export type PaddingSides = readonly ('before' | 'behind')[];

/**
 * Where the tokens of each sequence are, as Hugging Face's attention mask tells: 1 for a token, 0 for padding. Nothing here computes padding:
 * it is cut off, and put back, as zeros, where outputs have a row a token.
 * @param sides where padding may be
 * @returns undefined where there is none
 * @throws OctoformerError INVALID_ARGUMENT, UNSUPPORTED_OPTION for padding in other places
 */
export function tokenSpans(
  where: string,
  { input_ids, attention_mask }: { readonly input_ids?: TokenIds; readonly attention_mask?: TokenIds },
  sides: PaddingSides,
): readonly TokenSpan[] | undefined {
  if (attention_mask === undefined) return undefined;
  checkSequences(where, 'input_ids', input_ids);
  checkSequences(where, 'attention_mask', attention_mask);
  checkLengths(where, 'attention_mask', attention_mask, input_ids);
  const spans = attention_mask.map((mask, index) => spanOf(where, mask, index, sides));
  return spans.some(({ first, end, length }) => end - first < length) ? spans : undefined;
}

function spanOf(where: string, mask: readonly number[], index: number, sides: PaddingSides): TokenSpan {
  const wrong = mask.findIndex((value) => value !== 0 && value !== 1);
  if (wrong >= 0) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: attention_mask[${index}][${wrong}] is ${describeValue(mask[wrong])}, but must be 1 (a token) or 0 (padding)`,
    );
  }
  const [first, end] = [mask.indexOf(1), mask.lastIndexOf(1) + 1];
  if (first < 0) {
    throw new OctoformerError('INVALID_ARGUMENT', `${where}: attention_mask[${index}] leaves no token of the sequence`);
  }
  const misplaced =
    mask.slice(first, end).includes(0) ||
    (first > 0 && !sides.includes('before')) ||
    (end < mask.length && !sides.includes('behind'));
  if (misplaced) {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `${where}: attention_mask[${index}] has padding where it is not implemented; this model takes it ${sides.join(' or ')} the tokens only ` +
        '(or give sequences without padding: they may have different lengths)',
    );
  }
  return { first, end, length: mask.length };
}

/** @throws OctoformerError INVALID_ARGUMENT unless there is a number for every one of `input_ids` */
export function checkLengths(where: string, name: string, given: TokenIds, input_ids: TokenIds): void {
  const fits =
    given.length === input_ids.length && given.every((list, index) => list.length === input_ids[index]?.length);
  if (fits) return;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${where}: ${name} must have one number for every one of input_ids, whose sequences have ${input_ids.map(({ length }) => length).join(', ')} tokens`,
  );
}

/** Sequences without their padding. */
export function withoutPadding(sequences: TokenIds, spans: readonly TokenSpan[]): readonly (readonly number[])[] {
  return sequences.map((sequence, index) => sequence.slice(spans[index]?.first, spans[index]?.end));
}

/**
 * Positions as Hugging Face's classes of encoders count them: a family that makes them of ids knows padding by its id, all others count it.
 * @param input_ids with the padding
 * @param positions the family's own
 */
export function paddedPositions(
  input_ids: TokenIds,
  positions: (ids: readonly number[]) => readonly number[] = (ids) => ids.map((_, place) => place),
): TokenIds {
  return input_ids.map(positions);
}

/** Numbers for each of `input_ids`, checked, without those of the padding. @throws OctoformerError INVALID_ARGUMENT */
export function numbersWithoutPadding(
  where: string,
  name: string,
  given: TokenIds,
  input_ids: TokenIds,
  spans: readonly TokenSpan[],
): TokenIds {
  checkSequences(where, name, given);
  checkLengths(where, name, given, input_ids);
  return withoutPadding(given, spans);
}

/** Outputs, by name, that have an entry a token, and the axes on which they have it. */
export type TokenAxes = Readonly<Record<string, readonly number[]>>;

/** Outputs with zeros where the padding was: tensors by sequence, or by layer and sequence. */
export function withPadding<Outputs extends object>(
  outputs: Outputs,
  axes: TokenAxes,
  spans: readonly TokenSpan[],
): Outputs {
  const changed = Object.entries(outputs).flatMap(
    ([name, value]: [string, readonly (Tensor | readonly Tensor[])[]]) => {
      const own = Object.hasOwn(axes, name) ? axes[name] : undefined;
      if (!own) return [];
      const restored = (tensors: readonly Tensor[]) =>
        tensors.map((tensor, index) => own.reduce((padded, axis) => padAxis(padded, axis, spans[index]), tensor));
      return [[name, value.every(isLayer) ? value.map(restored) : restored(value as readonly Tensor[])]];
    },
  );
  return { ...outputs, ...Object.fromEntries(changed) };
}

function isLayer(value: Tensor | readonly Tensor[]): value is readonly Tensor[] {
  return Array.isArray(value);
}

/** Puts zeros before and behind the tokens on one axis. What the axis has more than these, a past, stays before everything. */
function padAxis(tensor: Tensor, axis: number, span: TokenSpan | undefined): Tensor {
  const { data, dims } = tensor;
  if (!span || span.end - span.first === span.length) return tensor;
  const size = dims[axis] ?? 0;
  const past = size - (span.end - span.first);
  const full = past + span.length;
  const product = (sizes: readonly number[]) => sizes.reduce((all, one) => all * one, 1);
  const [blocks, row] = [product(dims.slice(0, axis)), product(dims.slice(axis + 1))];
  const padded = new Float32Array(blocks * full * row);
  for (let block = 0; block < blocks; block++) {
    const [from, to] = [block * size * row, block * full * row];
    padded.set(data.subarray(from, from + past * row), to);
    padded.set(data.subarray(from + past * row, from + size * row), to + (past + span.first) * row);
  }
  return { data: padded, dims: dims.with(axis, full) };
}
