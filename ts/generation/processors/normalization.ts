import { logSoftmaxInPlace } from './probabilities';
import type { Processor } from './processor';

/** The largest finite float32. */
const largestFloat = (2 - 2 ** -23) * 2 ** 127;

/** Turns scores into log-probabilities: comes last. */
export function renormalize(): Processor {
  return (_, scores) => logSoftmaxInPlace(scores);
}

/** NaN becomes 0, infinities the largest numbers: a model that overflowed can go on. */
export function removeInvalidValues(): Processor {
  return (_, scores) => {
    for (let token = 0; token < scores.length; token++) {
      const score = scores[token] ?? 0;
      if (Number.isNaN(score)) scores[token] = 0;
      else if (!Number.isFinite(score)) scores[token] = score > 0 ? largestFloat : -largestFloat;
    }
  };
}
