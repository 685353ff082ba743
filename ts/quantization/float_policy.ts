import type { WeightKeeping } from '../graph/weight_policy';

export const dtypes = ['auto', 'float32', 'bfloat16', 'float16'] as const;

/** The `dtype` option of `from_pretrained`. */
export type Dtype = (typeof dtypes)[number];

/**
 * How matrices that stay float are kept, and what their products are computed in. `auto` keeps the stored form and widens it exactly
 * while computing in float32; `float32` widens once, at load; `float16` stores half as much as float32 and computes in float32;
 * `bfloat16` also rounds the activations to bfloat16 and multiplies on the units for it, which is the fastest and the least exact.
 */
export function floatKeeping(dtype: Dtype): WeightKeeping {
  return { form: dtype, compute: dtype === 'bfloat16' ? 'bfloat16' : 'float32' };
}
