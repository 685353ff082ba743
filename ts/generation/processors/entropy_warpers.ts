import { entropyOf, logSumExp, softmax } from './probabilities';
import { type Processor, removed } from './processor';
import { kthLargest, largestPlaces } from './selection';

/**
 * Leaves the tokens whose information is nearest to the distribution's entropy, until their probabilities reach `mass` (Meister et al. 2022,
 * "Locally typical sampling"), but not fewer than `least`.
 */
export function typicalP(mass: number, least = 1): Processor {
  return (_, scores) => {
    const total = logSumExp(scores);
    const entropy = entropyOf(scores);
    const distance = new Float64Array(scores.length);
    const tokens: number[] = [];
    for (let token = 0; token < scores.length; token++) {
      const score = scores[token] ?? removed;
      if (score === removed) continue;
      distance[token] = Math.abs(total - score - entropy);
      tokens.push(token);
    }
    tokens.sort((left, right) => (distance[left] ?? 0) - (distance[right] ?? 0) || left - right);
    let last = 0;
    let sum = 0;
    for (const token of tokens) {
      sum += Math.exp((scores[token] ?? 0) - total);
      if (sum >= mass || last === tokens.length - 1) break;
      last++;
    }
    const limit = distance[tokens[last] ?? 0] ?? 0;
    for (const [rank, token] of tokens.entries()) {
      if (rank >= least && (distance[token] ?? 0) > limit) scores[token] = removed;
    }
  };
}

/** Removes tokens less likely than epsilon (Hewitt et al. 2022), but leaves the `least` likeliest. */
export function epsilonCutoff(epsilon: number, least = 1): Processor {
  return (_, scores) => cutBelow(epsilon, least, scores);
}

/** Like `epsilonCutoff`, with min(epsilon, sqrt(epsilon) exp(-entropy)) as the limit (Hewitt et al. 2022, "eta sampling"). */
export function etaCutoff(epsilon: number, least = 1): Processor {
  return (_, scores) => cutBelow(Math.min(epsilon, Math.sqrt(epsilon) * Math.exp(-entropyOf(scores))), least, scores);
}

function cutBelow(limit: number, least: number, scores: Float32Array): void {
  const probabilities = softmax(scores);
  const threshold = kthLargest(scores, least);
  for (let token = 0; token < scores.length; token++) {
    if ((probabilities[token] ?? 0) < limit && (scores[token] ?? 0) < threshold) scores[token] = removed;
  }
}

/** Tokens that `topH` looks at, as in Hugging Face. */
const topHTokens = 100;

/** Leaves the likeliest tokens while the sum of their -p log p stays within this share of the entropy (Potraghloo et al. 2025, "Top-H"). */
export function topH(share: number): Processor {
  return (_, scores) => {
    const places = largestPlaces(scores, topHTokens);
    const values = places.map((token) => scores[token] ?? 0);
    const probabilities = softmax(values);
    const limit = entropyOf(values) * share;
    scores.fill(removed);
    let sum = 0;
    for (const [rank, token] of places.entries()) {
      const probability = probabilities[rank] ?? 0;
      sum -= probability * Math.log(probability);
      if (rank > 0 && !(sum <= limit)) return;
      scores[token] = values[rank] ?? 0;
    }
  };
}
