import { softmax } from './probabilities';
import { type Processor, removed } from './processor';
import { kthLargest, largestPlaces } from './selection';

/** Divides the scores. */
export function temperature(temperature: number): Processor {
  const rounded = Math.fround(temperature); // as in the native sampler, which then gives the same bits
  return (_, scores) => {
    for (let token = 0; token < scores.length; token++) scores[token] = (scores[token] ?? 0) / rounded;
  };
}

/** Leaves the k likeliest tokens (Fan et al. 2018), and those as likely as the last of them. */
export function topK(k: number, least = 1): Processor {
  return (_, scores) => {
    const threshold = kthLargest(scores, Math.max(k, least));
    for (let token = 0; token < scores.length; token++) {
      if ((scores[token] ?? 0) < threshold) scores[token] = removed;
    }
  };
}

/** Leaves the likeliest tokens until their probabilities reach p (Holtzman et al. 2020), but not fewer than `least`. */
export function topP(p: number, least = 1): Processor {
  return (_, scores) => {
    const probabilities = softmax(scores);
    // Most texts need few tokens to reach p, so not everything is sorted at once.
    for (let count = Math.max(256, least); ; count *= 8) {
      const places = largestPlaces(scores, count);
      let above = 0;
      let kept = 0;
      while (kept < places.length && (above < p || kept < least)) above += probabilities[places[kept++] ?? 0] ?? 0;
      if (kept === places.length && count < scores.length) continue;
      keepOnly(places.slice(0, kept), scores);
      return;
    }
  };
}

/** Removes tokens less likely than this share of the likeliest one (Nguyen et al. 2024), but leaves `least`. */
export function minP(share: number, least = 1): Processor {
  return (_, scores) => {
    const probabilities = softmax(scores);
    const places = largestPlaces(scores, least);
    const limit = share * (probabilities[places[0] ?? 0] ?? 0);
    removeUnless(scores, places, (token) => (probabilities[token] ?? 0) >= limit);
  };
}

function keepOnly(places: readonly number[], scores: Float32Array): void {
  const kept = places.map((token) => scores[token] ?? 0);
  scores.fill(removed);
  places.forEach((token, index) => {
    scores[token] = kept[index] ?? 0;
  });
}

function removeUnless(scores: Float32Array, kept: readonly number[], stays: (token: number) => boolean): void {
  const before = kept.map((token) => scores[token] ?? 0);
  for (let token = 0; token < scores.length; token++) {
    if (!stays(token)) scores[token] = removed;
  }
  kept.forEach((token, index) => {
    scores[token] = before[index] ?? 0;
  });
}
