import type { WeightFormName } from '../graph/program';

export const dtypes = ['auto', 'float32', 'bfloat16', 'float16'] as const;

/** The `dtype` option of `from_pretrained`. */
export type Dtype = (typeof dtypes)[number];

/** How linear weights that stay float are kept, and what their products are computed in. */
export interface FloatPolicy {
  readonly form: WeightFormName;
  readonly compute: 'float32' | 'bfloat16';
}

/**
 * `auto` keeps the stored form and widens it exactly while computing in float32; `float32` widens once, at load; `float16`
 * stores half as much as float32 and computes in float32; `bfloat16` also rounds the activations to bfloat16 and multiplies on
 * the units for it, which is the fastest and the least exact.
 */
export function floatPolicy(dtype: Dtype): FloatPolicy {
  return { form: dtype, compute: dtype === 'bfloat16' ? 'bfloat16' : 'float32' };
}
