import type { Int8Settings } from '../graph/program';

/** Threshold of the LLM.int8() paper (Dettmers et al. 2022, section 3.2), and of bitsandbytes. */
export const paperThreshold = 6;

/**
 * The int8 schemes by name (docs/design.md, section 3; Table 1 of the paper). `int8` is octoformer's own: activations with a zero
 * point, which the u8 x s8 kernels have anyway, and a threshold that follows each row. A row's rounding error is its range over 255, so that an
 * entry costs exactness where it is far beyond the row's others, however large those are; and no more than one in 36 can be beyond 6 root
 * mean squares, which bounds what is done in float. Groups of `int8-weight-only` are those of llama.cpp's Q8_0
 * (docs/quantization-experiments.md has the measurements).
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

/**
 * Where the table of tokens and `lm_head` are int8, too, unless the caller says otherwise, and what differs there: an error of `lm_head` meets
 * the predictions at once. Its rows are few (those whose logits are asked for), so that more of their entries may be multiplied in float; at
 * most 4 in 25 can be beyond 2.5 root mean squares. And rows of such tables have their largest numbers in the same few features, without
 * which the steps of all others are finer (docs/quantization-experiments.md).
 */
export const int8Tables: Partial<Record<keyof typeof int8Schemes, Int8Settings>> = {
  int8: { threshold: 2.5, wide_features: 8 },
};

export type Int8Scheme = keyof typeof int8Schemes;

export const int8SchemeNames = Object.keys(int8Schemes) as readonly Int8Scheme[];
