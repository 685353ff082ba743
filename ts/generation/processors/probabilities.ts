import { removed } from './processor';

/** The logarithm of the sum of exp(score), in float64; the largest score is taken out first so that nothing overflows. */
export function logSumExp(scores: ArrayLike<number>): number {
  let largest = removed;
  for (let token = 0; token < scores.length; token++) largest = Math.max(largest, scores[token] ?? 0);
  if (!Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let token = 0; token < scores.length; token++) sum += Math.exp((scores[token] ?? 0) - largest);
  return largest + Math.log(sum);
}

/** Probabilities of the scores, in float64. */
export function softmax(scores: ArrayLike<number>): Float64Array {
  const total = logSumExp(scores);
  const probabilities = new Float64Array(scores.length);
  for (let token = 0; token < scores.length; token++) probabilities[token] = Math.exp((scores[token] ?? 0) - total);
  return probabilities;
}

/** Turns scores into log-probabilities, in place; computed in float64, stored in float32. */
export function logSoftmaxInPlace(scores: Float32Array): void {
  const total = logSumExp(scores);
  for (let token = 0; token < scores.length; token++) scores[token] = (scores[token] ?? 0) - total;
}

/** The entropy of the scores' distribution, in nats; removed tokens add nothing. */
export function entropyOf(scores: ArrayLike<number>): number {
  const total = logSumExp(scores);
  let entropy = 0;
  for (let token = 0; token < scores.length; token++) {
    const logProbability = (scores[token] ?? 0) - total;
    if (logProbability > removed) entropy -= logProbability * Math.exp(logProbability);
  }
  return entropy;
}
