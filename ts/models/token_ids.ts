import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';

/** A list of sequences of token ids, of any lengths. */
export type TokenIds = readonly (readonly number[])[];

/**
 * All sequences one after another.
 * @param vocabularySize every id must be below it
 * @throws OctoformerError INVALID_ARGUMENT naming sequence, place and value
 */
export function concatenateIds(where: string, name: string, ids: TokenIds, vocabularySize: number): Int32Array {
  checkSequences(where, name, ids);
  const all = new Int32Array(ids.reduce((sum, sequence) => sum + sequence.length, 0));
  let next = 0;
  for (const [index, sequence] of ids.entries()) {
    for (const [place, id] of sequence.entries()) {
      if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
        throw new OctoformerError(
          'INVALID_ARGUMENT',
          `${where}: ${name}[${index}][${place}] is ${describeValue(id)}, but must be an integer from 0 to ${vocabularySize - 1}`,
        );
      }
      all[next++] = id;
    }
  }
  return all;
}

/** @throws OctoformerError INVALID_ARGUMENT unless it is a list of lists, none of them empty */
export function checkSequences(where: string, name: string, ids: unknown): asserts ids is TokenIds {
  if (!Array.isArray(ids) || ids.length === 0) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: ${name} must be a list of sequences, not ${describeValue(ids)}`,
    );
  }
  for (const [index, sequence] of ids.entries()) {
    if (Array.isArray(sequence) && sequence.length > 0) continue;
    const problem = Array.isArray(sequence) ? 'is empty' : `is ${describeValue(sequence)}`;
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: ${name}[${index}] ${problem}; every sequence must be a list of at least one token id, such as [[1, 2, 3], [4, 5]]`,
    );
  }
}
