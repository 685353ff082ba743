const mask = (1n << 64n) - 1n;
const goldenGamma = 0x9e3779b97f4a7c15n;

/** The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits. */
function splitMix(state: bigint): bigint {
  let mixed = state & mask;
  mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
  mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & mask;
  return mixed ^ (mixed >> 31n);
}

/** Draw number `counter` of a seed, uniform in [0, 1): the numbers that the native sampler draws (`uniform_draw` of native/runtime/random.h). */
export function uniformDraw(seed: bigint, counter: number): number {
  const start = splitMix(seed + goldenGamma);
  return Number(splitMix(start + BigInt(counter + 1) * goldenGamma) >> 11n) * 2 ** -53;
}

/** Draws places without replacement, each with a probability in proportion to its weight; when no weight is left, none. */
export function drawPlaces(weights: Float64Array, count: number, uniform: () => number): number[] {
  const drawn: number[] = [];
  let total = weights.reduce((sum, weight) => sum + weight, 0);
  while (drawn.length < count && total > 0) {
    let left = uniform() * total;
    let place = -1;
    for (let next = 0; next < weights.length; next++) {
      const weight = weights[next] ?? 0;
      if (weight === 0) continue;
      place = next; // rounding may leave a little over: then it is the last one
      left -= weight;
      if (left < 0) break;
    }
    if (place < 0) break;
    drawn.push(place);
    weights[place] = 0;
    total = weights.reduce((sum, weight) => sum + weight, 0);
  }
  return drawn;
}
