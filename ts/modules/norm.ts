import type { BuiltWeight, GraphBuilder } from '../graph/builder';
import { pythonNumber } from '../graph/module_tree';
import type { Value } from '../graph/program';

export interface NormOptions {
  readonly epsilon: number;
  /** Python's class, for the module tree. */
  readonly kind?: string;
  /** Added to the weights before they multiply (Gemma: 1). */
  readonly weightOffset?: number;
  /** Columns normalized together, such as a head; all of them by default. */
  readonly group?: number;
  /** Writes the result over the input. */
  readonly inPlace?: boolean;
}

/** x / sqrt(mean(x^2) + epsilon) * weight over each group of columns (Zhang and Sennrich 2019). Same shape as the input. */
export function rmsNorm(g: GraphBuilder, name: string, input: Value, options: NormOptions): Value {
  return norm(g, 'rms', name, input, false, { kind: 'RMSNorm', ...options });
}

/** (x - mean) / sqrt(variance + epsilon) * weight + bias (Ba et al. 2016). Same shape as the input. */
export function layerNorm(
  g: GraphBuilder,
  name: string,
  input: Value,
  { bias = true, ...options }: NormOptions & { readonly bias?: boolean },
): Value {
  return norm(g, 'layer', name, input, bias, { kind: 'LayerNorm', ...options });
}

function norm(
  g: GraphBuilder,
  kind: 'rms' | 'layer',
  name: string,
  input: Value,
  bias: boolean,
  options: NormOptions & { readonly kind: string },
): Value {
  const { epsilon, weightOffset, group } = options;
  const path = g.pathOf(name);
  const length = group ?? input.columns;
  const vector = (part: string) => g.vector(`${path}.${part}`, [{ name: `${path}.${part}`, shape: [length] }]);
  const weight = vector('weight');
  const shift = bias ? vector('bias') : undefined;
  const out = options.inPlace ? input : g.buffer(g.rowsOf(input), input.columns);
  g.add({
    op: 'norm',
    kind,
    input,
    out,
    weight: weight.index,
    ...(shift ? { bias: shift.index } : {}),
    ...(weightOffset === undefined ? {} : { weight_offset: weightOffset }),
    epsilon,
    ...(group === undefined ? {} : { group }),
  });
  g.leaf(name, options.kind, `(${length},), eps=${pythonNumber(epsilon)}`, [
    ...named('weight', weight),
    ...(shift ? named('bias', shift) : []),
  ]);
  return out;
}

function named(name: string, weight: BuiltWeight) {
  return weight.parameters.map((parameter) => ({ name, ...parameter }));
}
