import { OctoformerError } from '../binding/error';
import type { AttentionPattern } from '../graph/attention_ops';
import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import type { RowArrangement } from '../graph/weight_request';
import { attend, type ScoreOptions } from './attend';
import { type HeadNormOptions, headNormNames, normalizeHeads } from './head_norm';
import { linear, linears } from './linear';
import { checkModuleOptions, type OptionKinds } from './module_options';
import type { RotaryTable } from './rotary_embedding';

/** Names of the query's, key's and value's projection. */
export type ProjectionNames = readonly [query: string, key: string, value: string];

export const defaultProjections: ProjectionNames = ['q_proj', 'k_proj', 'v_proj'];

export interface AttentionOptions extends ScoreOptions {
  /** Python's class, for the module tree. */
  readonly kind?: string;
  readonly heads: number;
  /** Heads of keys and values; fewer than `heads` where queries share them (grouped-query attention). */
  readonly kvHeads?: number;
  readonly headDim: number;
  readonly outFeatures: number;
  /** Whether the query, key and value projections have biases, and whether the output projection has one. */
  readonly bias?: boolean;
  readonly outputBias?: boolean;
  /** Names of the projections: `q_proj`, `k_proj`, `v_proj` by default. */
  readonly projections?: ProjectionNames;
  /** The checkpoint has one tensor for queries, keys and values, of this name. */
  readonly fused?: string;
  /** How the rows of that tensor lie, where not queries, keys, values one after another (`modules/fused_rows.ts`). */
  readonly fusedRows?: readonly RowArrangement[];
  readonly outputName?: string;
  /** The checkpoint keeps the fused and the output matrix as `[in_features, out_features]` (GPT-2's Conv1D). */
  readonly transpose?: boolean;
  /** Normalizes queries and keys, mostly before they are rotated. */
  readonly headNorm?: HeadNormOptions;
  /** Rotary positions; none when left out (NoPE layers). */
  readonly rotary?: RotaryTable;
  readonly pattern?: 'causal' | 'full';
  /** A token sees this many tokens, itself among them. */
  readonly window?: number;
  /** With a window: the first tokens of a sequence that are always seen (Xiao et al. 2023, "attention sinks"). */
  readonly sinks?: number;
  /** In place of a window: a token sees `local` tokens, itself among them, and every `stride`-th before them (Child et al. 2019, section 4.2). */
  readonly strided?: { readonly stride: number; readonly local: number };
  /**
   * In place of a window: a token sees its block of so many tokens, and the last `summary` ones of every block (Child et al. 2019, section
   * 4.3).
   */
  readonly fixed?: { readonly block: number; readonly summary: number };
  readonly residual?: Value;
}

const optionKinds: OptionKinds<AttentionOptions> = {
  kind: 'text?',
  heads: 'count',
  kvHeads: 'count?',
  headDim: 'count',
  outFeatures: 'count',
  bias: 'flag?',
  outputBias: 'flag?',
  projections: 'given?',
  fused: 'text?',
  fusedRows: 'given?',
  outputName: 'text?',
  transpose: 'flag?',
  headNorm: 'given?',
  rotary: 'given?',
  pattern: 'text?',
  window: 'count?',
  sinks: 'number?',
  strided: 'given?',
  fixed: 'given?',
  residual: 'given?',
  scale: 'number?',
  softcap: 'number?',
  alibiSlopes: 'given?',
  alibiRounding: 'text?',
  relativeBias: 'given?',
};

const stridedKinds: OptionKinds<NonNullable<AttentionOptions['strided']>> = { stride: 'count', local: 'count' };
const fixedKinds: OptionKinds<NonNullable<AttentionOptions['fixed']>> = { block: 'count', summary: 'count' };

/**
 * Multi-head attention with its projections (Vaswani et al. 2017, section 3.2; grouped queries: Ainslie et al. 2023): keys and values of the new
 * tokens join the cache, then `[tokens, features]` becomes `[tokens, outFeatures]`. Its probabilities can be asked for as
 * `attentions.LAYER`.
 * @throws OctoformerError UNKNOWN_OPTION, INVALID_ARGUMENT
 */
export function attention(g: GraphBuilder, name: string, input: Value, options: AttentionOptions): Value {
  checkModuleOptions('nn.attention()', options, optionKinds);
  const { heads, kvHeads = heads, headDim, outFeatures, headNorm } = options;
  const { kind = 'Attention', fused = 'qkv_proj', outputName = 'o_proj', transpose = false } = options;
  const { projections = defaultProjections } = options;
  const norms = headNorm ? headNormNames(headNorm) : [];
  const order = [...projections, fused, outputName, 'relative_attention_bias', ...norms];
  return g.scope(
    name,
    kind,
    () => {
      const { rotated, query, key, value } = project(g, input, options, heads, kvHeads);
      const normalize = () => headNorm && normalizeHeads(g, { query, key }, headDim, headNorm);
      if (!headNorm?.afterRotation) normalize();
      if (options.rotary) {
        const { table, pairing } = options.rotary;
        g.add({ op: 'rope', x: rotated, table, heads: heads + kvHeads, head_dim: headDim, pairing });
      }
      if (headNorm?.afterRotation) normalize();
      const mixed = attend(g, { query, key, value }, { ...options, kvHeads, pattern: patternOf(options) });
      return linear(g, outputName, mixed, {
        outFeatures,
        transpose,
        bias: options.outputBias ?? false,
        ...(options.residual ? { residual: options.residual } : {}),
      });
    },
    { order },
  );
}

function patternOf({ pattern: kind = 'causal', window, sinks, strided, fixed }: AttentionOptions): AttentionPattern {
  const given = Object.entries({ window, strided, fixed }).filter(([, value]) => value !== undefined);
  if (given.length > 1 || (sinks !== undefined && given.length === 0)) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      given.length > 1
        ? `attention: ${given.map(([name]) => `'${name}'`).join(' and ')} exclude each other; give one of them`
        : "attention: 'sinks' go with 'window', 'strided' or 'fixed': without one of them every token is seen anyway",
    );
  }
  if (strided) checkModuleOptions("'strided' of nn.attention()", strided, stridedKinds);
  if (fixed) checkModuleOptions("'fixed' of nn.attention()", fixed, fixedKinds);
  return {
    kind,
    ...(window === undefined ? {} : { window }),
    ...(strided ? { window: strided.local, stride: strided.stride } : {}),
    ...fixed,
    ...(sinks === undefined ? {} : { sinks }),
  };
}

/** Queries and keys lie side by side, so that one op rotates both. */
function project(g: GraphBuilder, input: Value, options: AttentionOptions, heads: number, kvHeads: number) {
  const { headDim, bias = false, fused, fusedRows, transpose = false, projections = defaultProjections } = options;
  const [queryWidth, keyWidth] = [heads * headDim, kvHeads * headDim];
  const all = fused
    ? linear(g, fused, input, {
        outFeatures: queryWidth + 2 * keyWidth,
        bias,
        transpose,
        ...(fusedRows ? { rows: fusedRows } : {}),
      })
    : linears(
        g,
        [
          { name: projections[0], outFeatures: queryWidth },
          { name: projections[1], outFeatures: keyWidth },
          { name: projections[2], outFeatures: keyWidth },
        ],
        input,
        { bias },
      ).all;
  return {
    rotated: g.slice(all, 0, queryWidth + keyWidth),
    query: g.slice(all, 0, queryWidth),
    key: g.slice(all, queryWidth, keyWidth),
    value: g.slice(all, queryWidth + keyWidth, keyWidth),
  };
}
