import { isDeepStrictEqual } from 'node:util';
import type { Tensor } from '../../../ts';
import type { GoldenTensor } from '../safetensors';

/** One comparison: the largest difference found, and the largest allowed (0: the same bits, or the same ids). */
export interface Comparison {
  readonly name: string;
  readonly difference: number;
  readonly allowed: number;
  /** What was found instead of what, where a number doesn't tell. */
  readonly detail?: string;
}

export function isWithin({ difference, allowed }: Comparison): boolean {
  return difference <= allowed; // NaN is not
}

/** The difference over what is allowed: up to 1 where it is within, and infinite where nothing may differ and something does. */
export function relativeError({ difference, allowed }: Comparison): number {
  if (difference === 0) return 0;
  const error = difference / allowed;
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

/** The one that is furthest off; there must be one. */
export function worstOf(comparisons: readonly Comparison[]): Comparison {
  return comparisons.reduce((left, right) => (relativeError(right) > relativeError(left) ? right : left));
}

/** Comparisons that failed, as lines for people. */
export function failures(comparisons: readonly Comparison[]): string[] {
  return comparisons
    .filter((comparison) => !isWithin(comparison))
    .map(({ name, difference, allowed, detail }) =>
      detail === undefined ? `${name}: off by ${difference}, allowed ${allowed}` : `${name}: ${detail}`,
    );
}

/** What the goldens' README allows float32 models: their sums are made in another order. */
export function float32Bound(golden: Float32Array): number {
  return 2e-4 + 2e-4 * largestMagnitude(golden);
}

/** What the goldens' README allows probabilities of attention. */
export const attentionBound = 2e-5;

export function largestMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let index = 0; index < values.length; index++) largest = Math.max(largest, Math.abs(values[index] ?? 0));
  return largest;
}

/** How far apart the numbers are at most; NaN where one of them is. */
export function largestDifference(left: ArrayLike<number>, right: ArrayLike<number>): number {
  if (left.length !== right.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let index = 0; index < left.length; index++) {
    const difference = Math.abs((left[index] ?? 0) - (right[index] ?? 0));
    if (!(difference <= largest)) largest = difference;
    if (Number.isNaN(largest)) return largest;
  }
  return largest;
}

/** A tensor against the golden one of its name; one that is missing or of another shape is infinitely far. */
export function compareTensor(
  name: string,
  actual: Tensor | undefined,
  golden: GoldenTensor,
  allowed = name.includes('attentions') ? attentionBound : float32Bound(golden.data),
): Comparison {
  const same = actual?.dims.join() === golden.shape.join();
  return {
    name,
    difference: actual && same ? largestDifference(actual.data, golden.data) : Number.POSITIVE_INFINITY,
    allowed,
  };
}

/** The number of values whose bits differ (-0 and 0 count as different). */
export function sameBits(
  name: string,
  left: ArrayLike<number> | undefined,
  right: ArrayLike<number> | undefined,
): Comparison {
  if (!left || !right || left.length !== right.length) {
    return { name, difference: Number.POSITIVE_INFINITY, allowed: 0 };
  }
  let differing = 0;
  for (let index = 0; index < left.length; index++) {
    if (!Object.is(left[index], right[index])) differing++;
  }
  return { name, difference: differing, allowed: 0 };
}

/** The number of ids that differ, those that are missing or too many included. */
export function sameIds(name: string, actual: readonly number[] | undefined, expected: readonly number[]): Comparison {
  const found = actual ?? [];
  const differing = expected.filter((id, place) => place < found.length && id !== found[place]).length;
  return { name, difference: differing + Math.abs(expected.length - found.length), allowed: 0 };
}

/** Texts, lists and objects that must be the same in all parts. */
export function identical(name: string, actual: unknown, expected: unknown): Comparison {
  if (isDeepStrictEqual(actual, expected)) return { name, difference: 0, allowed: 0 };
  const shown = (value: unknown) => JSON.stringify(value)?.slice(0, 300) ?? String(value);
  return { name, difference: 1, allowed: 0, detail: `${shown(actual)} instead of ${shown(expected)}` };
}
