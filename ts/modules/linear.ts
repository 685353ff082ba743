import type { GraphBuilder } from '../graph/builder';
import type { ActivationName } from '../graph/program';
import type { Value } from '../graph/value';
import type { WeightKeeping, WeightPlace } from '../graph/weight_policy';
import type { BuiltWeight, RowArrangement } from '../graph/weight_request';
import { checkModuleOptions, type OptionKinds } from './module_options';

export interface LinearOptions {
  readonly outFeatures: number;
  /** Adds `NAME.bias`. */
  readonly bias?: boolean;
  /** The full name of a tensor `[1, outFeatures]` to add instead, which belongs to another module. */
  readonly biasRow?: string;
  readonly activation?: ActivationName;
  /** Added after the activation: a value of `outFeatures` columns. */
  readonly residual?: Value;
  /** The checkpoint keeps the matrix as `[in_features, out_features]` (GPT-2's Conv1D). */
  readonly transpose?: boolean;
  /** Pieces of the checkpoint's rows, one after another, where it keeps them in another order; together `outFeatures` rows. */
  readonly rows?: readonly RowArrangement[];
  /** The full name of the matrix, where it belongs to another module (a tied output projection). */
  readonly weight?: string;
  /** What it is there for, which decides whether it is quantized with the model: a layer of it by default. */
  readonly place?: WeightPlace;
}

const optionKinds: OptionKinds<LinearOptions> = {
  outFeatures: 'count',
  bias: 'flag?',
  biasRow: 'text?',
  activation: 'text?',
  residual: 'given?',
  transpose: 'flag?',
  rows: 'given?',
  weight: 'text?',
  place: 'text?',
};

/** `activation(input W^T + b) + residual`: `[rows, in_features]` to `[rows, outFeatures]`. */
export function linear(g: GraphBuilder, name: string, input: Value, options: LinearOptions): Value {
  checkModuleOptions('nn.linear()', options, optionKinds);
  const { outFeatures, bias = false, biasRow, activation, residual, transpose = false, place = 'layer' } = options;
  const path = g.pathOf(name);
  const matrixName = options.weight ?? `${path}.weight`;
  const pieces = options.rows ? { pieces: options.rows } : {};
  const weight = g.matrix(
    matrixName,
    [{ name: matrixName, shape: [outFeatures, input.columns], transpose, ...pieces }],
    g.keeping(path, place, matrixName),
  );
  const own = bias ? g.vector(`${path}.bias`, [{ name: `${path}.bias`, shape: [outFeatures], ...pieces }]) : undefined;
  const shift = biasRow
    ? g.vector(biasRow, [{ name: biasRow, shape: [outFeatures], storedShape: [1, outFeatures] }])
    : own;
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
  record(g, name, input.columns, outFeatures, weight, own, 0, transpose);
  return out;
}

export interface Projection {
  readonly name: string;
  readonly outFeatures: number;
}

/**
 * Several projections of one input, computed as one product whose weight is theirs stacked: the input is read once, and thin
 * projections (keys, values) don't leave the machine idle. Those that are not kept alike, or that have a scale each, are products of
 * their own.
 * @returns the outputs side by side in one value, and each of them as a slice of it
 */
export function linears(
  g: GraphBuilder,
  projections: readonly Projection[],
  input: Value,
  { bias = false }: { readonly bias?: boolean } = {},
): { readonly all: Value; readonly each: readonly Value[] } {
  const all = g.buffer(
    g.rowsOf(input),
    projections.reduce((sum, { outFeatures }) => sum + outFeatures, 0),
  );
  let offset = 0;
  const each: Value[] = [];
  for (const { members, keeping } of stacks(g, projections)) {
    const names = members.map(({ name }) => name).join('+');
    const parts = (suffix: 'weight' | 'bias') =>
      members.map(({ name, outFeatures }) => ({
        name: `${g.pathOf(name)}.${suffix}`,
        shape: suffix === 'weight' ? [outFeatures, input.columns] : [outFeatures],
      }));
    const weight = g.matrix(`${g.pathOf(names)}.weight`, parts('weight'), keeping);
    const shift = bias ? g.vector(`${g.pathOf(names)}.bias`, parts('bias')) : undefined;
    const first = offset;
    for (const [part, { name, outFeatures }] of members.entries()) {
      record(g, name, input.columns, outFeatures, weight, shift, part);
      each.push(g.slice(all, offset, outFeatures));
      offset += outFeatures;
    }
    const out = g.slice(all, first, offset - first);
    g.add({ op: 'linear', input, weight: weight.index, ...(shift ? { bias: shift.index } : {}), out });
  }
  return { all, each };
}

interface Stack {
  readonly members: Projection[];
  readonly keeping: WeightKeeping;
}

/** Neighbouring projections whose matrices can be one. */
function stacks(g: GraphBuilder, projections: readonly Projection[]): readonly Stack[] {
  const found: Stack[] = [];
  for (const projection of projections) {
    const path = g.pathOf(projection.name);
    const keeping = g.keeping(path, 'layer', `${path}.weight`);
    const last = found.at(-1);
    const together = keeping.int8?.weight_scales !== 'tensor' && sameKeeping(last?.keeping, keeping);
    if (last && together) last.members.push(projection);
    else found.push({ members: [projection], keeping });
  }
  return found;
}

function sameKeeping(left: WeightKeeping | undefined, right: WeightKeeping): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
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
