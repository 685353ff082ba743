import type { BuiltWeight, GraphBuilder, PartRequest, RowArrangement } from '../graph/builder';
import type { ActivationName, Value } from '../graph/program';

export interface LinearOptions {
  readonly outFeatures: number;
  /** Adds `NAME.bias`. */
  readonly bias?: boolean;
  readonly activation?: ActivationName;
  /** Added after the activation: a value of `outFeatures` columns. */
  readonly residual?: Value;
  /** The checkpoint keeps the matrix as `[in_features, out_features]` (GPT-2's Conv1D). */
  readonly transpose?: boolean;
  /** Pieces of the checkpoint's rows, one after another, where it keeps them in another order; together `outFeatures` rows. */
  readonly rows?: readonly RowArrangement[];
  /** The full name of the matrix, where it belongs to another module (a tied output projection). */
  readonly weight?: string;
}

/** `activation(input W^T + b) + residual`: `[rows, in_features]` to `[rows, outFeatures]`. */
export function linear(g: GraphBuilder, name: string, input: Value, options: LinearOptions): Value {
  const { outFeatures, bias = false, activation, residual, transpose = false } = options;
  const path = g.pathOf(name);
  const matrixName = options.weight ?? `${path}.weight`;
  const pieces = (part: PartRequest) => options.rows?.map((rows) => ({ ...part, rows })) ?? [part];
  const weight = g.matrix(matrixName, pieces({ name: matrixName, shape: [outFeatures, input.columns], transpose }));
  const shift = bias ? g.vector(`${path}.bias`, pieces({ name: `${path}.bias`, shape: [outFeatures] })) : undefined;
  const out = g.buffer(g.rowsOf(input), outFeatures);
  g.add({
    op: 'linear',
    input,
    weight: weight.index,
    ...(shift ? { bias: shift.index } : {}),
    ...(activation ? { activation } : {}),
    ...(residual ? { residual } : {}),
    out,
  });
  record(g, name, input.columns, outFeatures, weight, shift, 0, transpose);
  return out;
}

export interface Projection {
  readonly name: string;
  readonly outFeatures: number;
}

/**
 * Several projections of one input, computed as one product whose weight is theirs stacked: the input is read once, and thin
 * projections (keys, values) don't leave the machine idle.
 * @returns the outputs side by side in one value, and each of them as a slice of it
 */
export function linears(
  g: GraphBuilder,
  projections: readonly Projection[],
  input: Value,
  { bias = false }: { readonly bias?: boolean } = {},
): { readonly all: Value; readonly each: readonly Value[] } {
  const names = projections.map((projection) => projection.name).join('+');
  const parts = (suffix: 'weight' | 'bias') =>
    projections.map(({ name, outFeatures }) => ({
      name: `${g.pathOf(name)}.${suffix}`,
      shape: suffix === 'weight' ? [outFeatures, input.columns] : [outFeatures],
    }));
  const weight = g.matrix(`${g.pathOf(names)}.weight`, parts('weight'));
  const shift = bias ? g.vector(`${g.pathOf(names)}.bias`, parts('bias')) : undefined;
  const all = g.buffer(
    g.rowsOf(input),
    projections.reduce((sum, { outFeatures }) => sum + outFeatures, 0),
  );
  g.add({ op: 'linear', input, weight: weight.index, ...(shift ? { bias: shift.index } : {}), out: all });
  let offset = 0;
  const each = projections.map(({ name, outFeatures }, part) => {
    record(g, name, input.columns, outFeatures, weight, shift, part);
    const slice = g.slice(all, offset, outFeatures);
    offset += outFeatures;
    return slice;
  });
  return { all, each };
}

function record(
  g: GraphBuilder,
  name: string,
  inFeatures: number,
  outFeatures: number,
  weight: BuiltWeight,
  bias: BuiltWeight | undefined,
  part: number,
  transposed = false,
): void {
  const matrix = weight.parameters[part];
  const shift = bias?.parameters[part];
  const [kind, detail] = transposed
    ? ['Conv1D', `nf=${outFeatures}, nx=${inFeatures}`]
    : ['Linear', `in_features=${inFeatures}, out_features=${outFeatures}, bias=${bias ? 'True' : 'False'}`];
  g.leaf(name, kind, detail, [
    ...(matrix ? [{ name: 'weight', ...matrix }] : []),
    ...(shift ? [{ name: 'bias', ...shift }] : []),
  ]);
}
