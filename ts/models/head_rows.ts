import { OctoformerError } from '../binding/error';
import { splitRows, type Tensor } from './tensor';
import type { TokenIds } from './token_ids';

/**
 * What a head is asked about, and gives, under these names. `first`: a row a sequence (an encoder's first token; a decoder's last one that is no
 * padding; of an encoder-decoder the decoder's at the last end-of-sequence id); `all`: a row a token.
 */
export interface HeadDescription {
  readonly rows: 'first' | 'all';
  readonly outputs: readonly string[];
  /** `[columns]` of one row by itself and `[rows]` of one column: without the dimension of 1. */
  readonly flat: boolean;
}

/** A language model's: scores of the next token. */
export const languageModelHead: HeadDescription = { rows: 'all', outputs: ['logits'], flat: false };

/** What a head gave, a tensor a sequence. @param counts rows of each */
export function headTensors(data: Float32Array, counts: readonly number[], flat: boolean): Tensor[] {
  const tensors = splitRows(data, counts);
  return flat ? tensors.map((tensor) => ({ data: tensor.data, dims: [tensor.data.length] })) : tensors;
}

/** Rows, in the concatenation of all sequences, of the last `kept[i]` tokens of sequence i. */
export function lastRows(lengths: readonly number[], kept: readonly number[]): Int32Array {
  const rows: number[] = [];
  let end = 0;
  for (const [index, length] of lengths.entries()) {
    end += length;
    for (let row = end - (kept[index] ?? 0); row < end; row++) rows.push(row);
  }
  return Int32Array.from(rows);
}

/** Rows, in the concatenation of all sequences, of places in each of them. */
export function rowsAt(places: TokenIds, lengths: readonly number[]): Int32Array {
  const rows: number[] = [];
  let first = 0;
  for (const [index, length] of lengths.entries()) {
    for (const place of places[index] ?? []) rows.push(first + place);
    first += length;
  }
  return Int32Array.from(rows);
}

/** @throws OctoformerError INVALID_ARGUMENT unless `logits_at` has a list of places within each sequence */
export function checkPlaces(where: string, places: TokenIds, lengths: readonly number[]): void {
  const fits =
    Array.isArray(places) &&
    places.length === lengths.length &&
    places.every(
      (list, index) =>
        Array.isArray(list) &&
        list.every((place) => Number.isInteger(place) && place >= 0 && place < (lengths[index] ?? 0)),
    );
  if (fits) return;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${where}: logits_at must have a list of places a sequence, each from 0 to below its length (${lengths.join(', ')})`,
  );
}

/**
 * The place in each sequence that a decoder's label is read from, as in Hugging Face's classes: the last token that is not `paddingId` (the first
 * where all are), or the last of all without one.
 */
export function labelledPlaces(input_ids: TokenIds, paddingId: unknown): number[] {
  return input_ids.map((ids) =>
    Math.max(
      0,
      ids.findLastIndex((id) => id !== paddingId),
    ),
  );
}
