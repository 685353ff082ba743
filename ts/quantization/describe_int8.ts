import type { Int8Settings } from '../graph/program';

/** An int8 scheme in full words. */
export function describeInt8(settings: Int8Settings): string {
  const {
    weights = 'absmax',
    weight_scales = 'row',
    weight_only,
    group_size = 0,
    activations = 'absmax',
    activation_scales = 'row',
  } = settings;
  const scale = (mapping: string, of: string) =>
    `${mapping === 'zeropoint' ? 'scale and zero point' : 'absmax scale'} ${of}`;
  const sharing =
    group_size > 0
      ? `for every ${group_size} inputs of each output feature`
      : weight_scales === 'row'
        ? 'for each output feature'
        : 'for the whole matrix';
  const matrix = `int8 weights with one ${scale(weights, sharing)}`;
  if (weight_only) return `${matrix}; inputs stay float32`;
  const inputs = `int8 inputs with one ${scale(activations, activation_scales === 'row' ? 'for each token' : 'for all tokens of a call')}`;
  return [matrix, inputs, ...describeOutliers(settings)].join('; ');
}

function describeOutliers(settings: Int8Settings): string[] {
  const {
    threshold = 0,
    threshold_unit = 'absolute',
    outliers = 'token',
    float_outlier_weights,
    outlier_features = [],
    wide_features = 0,
  } = settings;
  const integers = threshold_unit === 'row-rms' && outliers === 'token' && !float_outlier_weights;
  const form = integers ? 'in 16 bits' : `in float32 with ${float_outlier_weights ? 'float32' : 'dequantized'} weights`;
  const taken = {
    token: 'those entries alone',
    column: 'their features for all tokens of the call',
    'whole-column': 'their features, which take no part in scales, for all tokens of the call',
  }[outliers];
  const from = threshold_unit === 'absolute' ? `${threshold}` : `${threshold} root mean squares of their token`;
  return [
    threshold > 0 ? `inputs of magnitude ${from} and above ${form}, ${taken}` : 'no input is left out for its size',
    ...(wide_features > 0
      ? [
          `${wide_features} feature(s) with the largest weights (1 in 32 at most) in float32 always, with bfloat16 weights`,
        ]
      : []),
    ...(outlier_features.length > 0 && wide_features === 0
      ? [`${outlier_features.length} calibrated feature(s) in float32 always, with bfloat16 weights`]
      : []),
  ];
}
