import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { type LayerNormOptions, layerNorm, rmsNorm } from './norm';

export interface HeadNormOptions {
  readonly epsilon: number;
  /** Python's class, for the module tree. */
  readonly kind?: string;
  /** `q_norm` and `k_norm` without the mean, the default, or `q_layernorm` and `k_layernorm` with it and with biases. */
  readonly norm?: 'rms' | 'layer';
  /** Other names than these. */
  readonly names?: readonly [query: string, key: string];
  /** Of layer norms; true by default. */
  readonly bias?: boolean;
  readonly weightOffset?: number;
  /** Normalizes all heads together instead of each by itself (OLMo 2). */
  readonly together?: boolean;
  /**
   * Every head has weights of its own, where by default all share them: in modules of their own, `q_layernorm.norms.HEAD` (StableLM 2), or as rows
   * of one matrix (Command R+).
   */
  readonly weights?: 'modules' | 'rows';
  /** Heads are rotated first (Hunyuan). */
  readonly afterRotation?: boolean;
}

/** The names of the norms of queries and of keys. */
export function headNormNames({ norm = 'rms', names }: HeadNormOptions): readonly [query: string, key: string] {
  return names ?? (norm === 'rms' ? ['q_norm', 'k_norm'] : ['q_layernorm', 'k_layernorm']);
}

/** Normalizes the heads of queries and keys in place. */
export function normalizeHeads(
  g: GraphBuilder,
  { query, key }: { readonly query: Value; readonly key: Value },
  headDim: number,
  options: HeadNormOptions,
): void {
  const [queryName, keyName] = headNormNames(options);
  normalize(g, queryName, query, headDim, options);
  normalize(g, keyName, key, headDim, options);
}

function normalize(g: GraphBuilder, name: string, input: Value, headDim: number, options: HeadNormOptions): void {
  const {
    norm: style = 'rms',
    names: _,
    bias = true,
    together = false,
    weights,
    afterRotation: _later,
    ...rest
  } = options;
  const norm = (path: string, value: Value, more: Partial<LayerNormOptions> = {}) => {
    const given = { ...rest, ...more, inPlace: true };
    return style === 'rms' ? rmsNorm(g, path, value, given) : layerNorm(g, path, value, { ...given, bias });
  };
  if (!weights) {
    norm(name, input, together ? {} : { group: headDim });
    return;
  }
  const count = input.columns / headDim;
  const heads = Array.from({ length: count }, (_head, index) => g.slice(input, index * headDim, headDim));
  if (weights === 'rows') {
    for (const [index, head] of heads.entries()) norm(name, head, { weightRow: { index, count } });
    return;
  }
  g.scope(name, `${options.kind ?? 'LayerNorm'}PerHead`, () =>
    g.scope('norms', 'ModuleList', () => {
      for (const [index, head] of heads.entries()) norm(String(index), head);
    }),
  );
}
