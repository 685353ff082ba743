import type { GraphBuilder } from '../graph/builder';
import { pythonNumber } from '../graph/module_tree';
import type { Value } from '../graph/value';
import type { BuiltWeight, PartRequest } from '../graph/weight_request';
import { checkModuleOptions, type OptionKinds } from './module_options';

export interface NormOptions {
  readonly epsilon: number;
  /** Python's class, for the module tree. */
  readonly kind?: string;
  /** Added to the weights before they multiply (Gemma: 1). */
  readonly weightOffset?: number;
  /** Columns normalized together, such as a head; all of them by default. */
  readonly group?: number;
  /** The weight is row `index` of a matrix of `count` rows. */
  readonly weightRow?: { readonly index: number; readonly count: number };
  /** Writes the result over the input. */
  readonly inPlace?: boolean;
}

export interface LayerNormOptions extends NormOptions {
  readonly bias?: boolean;
  /** false: neither weight nor bias. */
  readonly affine?: boolean;
}

const optionKinds: OptionKinds<NormOptions> = {
  epsilon: 'number',
  kind: 'text?',
  weightOffset: 'number?',
  group: 'count?',
  weightRow: 'given?',
  inPlace: 'flag?',
};

const layerNormKinds: OptionKinds<LayerNormOptions> = { ...optionKinds, bias: 'flag?', affine: 'flag?' };

/** x / sqrt(mean(x^2) + epsilon) * weight over each group of columns (Zhang and Sennrich 2019). Same shape as the input. */
export function rmsNorm(g: GraphBuilder, name: string, input: Value, options: NormOptions): Value {
  checkModuleOptions('nn.rmsNorm()', options, optionKinds);
  return norm(g, 'rms', name, input, { weight: true, bias: false }, { kind: 'RMSNorm', ...options });
}

/** (x - mean) / sqrt(variance + epsilon) * weight + bias (Ba et al. 2016). Same shape as the input. */
export function layerNorm(g: GraphBuilder, name: string, input: Value, given: LayerNormOptions): Value {
  checkModuleOptions('nn.layerNorm()', given, layerNormKinds);
  const { bias = true, affine = true, ...options } = given;
  return norm(g, 'layer', name, input, { weight: affine, bias: affine && bias }, { kind: 'LayerNorm', ...options });
}

function norm(
  g: GraphBuilder,
  kind: 'rms' | 'layer',
  name: string,
  input: Value,
  has: { readonly weight: boolean; readonly bias: boolean },
  options: NormOptions & { readonly kind: string },
): Value {
  const { epsilon, weightOffset, group, weightRow } = options;
  const path = g.pathOf(name);
  const length = group ?? input.columns;
  const vector = (part: string, row: Omit<PartRequest, 'name' | 'shape'> = {}) =>
    g.vector(`${path}.${part}`, [{ name: `${path}.${part}`, shape: [length], ...row }]);
  const weight = has.weight ? vector('weight', weightRow && rowOf(weightRow, length)) : undefined;
  const shift = has.bias ? vector('bias') : undefined;
  const offset = (weightOffset ?? 0) - (weight?.added ?? 0);
  const out = options.inPlace ? input : g.buffer(g.rowsOf(input), input.columns);
  g.add({
    op: 'norm',
    kind,
    input,
    out,
    ...(weight ? { weight: weight.index } : {}),
    ...(shift ? { bias: shift.index } : {}),
    ...(offset === 0 ? {} : { weight_offset: offset }),
    epsilon,
    ...(group === undefined ? {} : { group }),
  });
  g.leaf(name, options.kind, `(${length},), eps=${pythonNumber(epsilon)}`, [
    ...(weight ? named('weight', weight) : []),
    ...(shift ? named('bias', shift) : []),
  ]);
  return out;
}

/** One row of a matrix, as a vector. */
function rowOf(
  { index, count }: NonNullable<NormOptions['weightRow']>,
  length: number,
): Omit<PartRequest, 'name' | 'shape'> {
  return { storedShape: [count, length], rows: { take_rows: { first: index * length, count: length } } };
}

function named(name: string, weight: BuiltWeight) {
  return weight.parameters.map((parameter) => ({ name, ...parameter }));
}
