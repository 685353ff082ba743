import type { Int8Settings } from '../graph/program';

/** Threshold of the LLM.int8() paper (Dettmers et al. 2022, section 3.2), and of bitsandbytes. */
export const paperThreshold = 6;

/**
 * The int8 schemes by name (docs/design.md, section 3; Table 1 of the paper). `int8` is octoformer's own: activations with a zero
 * point, which the u8 x s8 kernels have anyway, and a threshold that follows each row. A row's rounding error is its range over 255, so that an
 * entry costs exactness where it is far beyond the row's others, however large those are; and no more than one in 36 can be beyond 6 root
 * mean squares, which bounds what is done in float. Groups of `int8-weight-only` are those of llama.cpp's Q8_0
 * (docs/quantization.md has the measurements).
 */
export const int8Schemes = {
  'llm.int8': { threshold: paperThreshold },
  int8: { activations: 'zeropoint', threshold: 6, threshold_unit: 'row-rms' },
  'int8-weight-only': { weight_only: true, group_size: 32 },
  absmax: { weight_scales: 'tensor', activation_scales: 'tensor' },
  zeropoint: {
    weights: 'zeropoint',
    weight_scales: 'tensor',
    activations: 'zeropoint',
    activation_scales: 'tensor',
  },
  'row-wise': { weight_scales: 'tensor' },
  'vector-wise': {},
  'vector-wise-zeropoint': { weights: 'zeropoint', activations: 'zeropoint' },
  'llm.int8-zeropoint': { weights: 'zeropoint', activations: 'zeropoint', threshold: paperThreshold },
} as const satisfies Readonly<Record<string, Int8Settings>>;

export type Int8Scheme = keyof typeof int8Schemes;

export const int8SchemeNames = Object.keys(int8Schemes) as readonly Int8Scheme[];
