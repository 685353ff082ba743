/**
 * The slope of each head's linear bias (Press et al. 2022, "Train Short, Test Long", section 3): a geometric sequence from 2^(-8/n),
 * and for numbers of heads that are no power of two, every other slope of twice the power below for the rest. Rounded to
 * float32 at every step, as PyTorch computes them.
 */
export function alibiSlopes(heads: number): readonly number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const base = (count: number) => Math.fround(2 ** -(2 ** -(Math.log2(count) - 3)));
  const slope = (of: number, exponent: number) => Math.fround(base(of) ** exponent);
  return Array.from({ length: heads }, (_, head) =>
    head < power ? slope(power, head + 1) : slope(2 * power, 2 * (head - power) + 1),
  );
}
