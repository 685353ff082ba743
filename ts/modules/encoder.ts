import type { RelativeBias } from '../graph/attention_ops';
import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { activationByName } from './activation';
import { attend } from './attend';
import { type DisentangledAttention, projectPositions } from './disentangled_attention';
import { embedding } from './embedding';
import { linear, linears } from './linear';
import { type ModuleKinds, nested, nestedLeaf } from './nested';
import { layerNorm } from './norm';

/** Where the parts of a post-norm encoder layer lie, as paths within the layer. */
export interface EncoderLayerNames {
  /** The module of the three projections, and their names in it: query, key, value. */
  readonly selfAttention: string;
  readonly projections: readonly [query: string, key: string, value: string];
  readonly attentionOutput: string;
  readonly attentionNorm: string;
  readonly inner: string;
  readonly outer: string;
  readonly outputNorm: string;
  /** Python's classes by path. */
  readonly kinds: ModuleKinds;
}

export interface EncoderLayerOptions {
  readonly names: EncoderLayerNames;
  readonly heads: number;
  readonly innerFeatures: number;
  /** Hugging Face's name, such as `gelu`. */
  readonly activation: string;
  readonly epsilon: number;
  readonly relativeBias?: RelativeBias;
  /** Multiplies the scores; 1 / sqrt(head's width) by default. */
  readonly scale?: number;
  /** Attends to relative positions too. */
  readonly disentangled?: DisentangledAttention;
}

/**
 * norm(x + attention(x)), then norm(x + feedForward(x)), where every token sees all of its sequence: the block of the original
 * Transformer (Vaswani et al. 2017, section 3.1) and of BERT. Builds into the present module.
 */
export function postNormLayer(g: GraphBuilder, input: Value, options: EncoderLayerOptions): Value {
  const { names, heads, innerFeatures, epsilon } = options;
  const { kinds } = names;
  const width = input.columns;
  const headDim = width / heads;
  const { query, key, value, positions } = nested(g, names.selfAttention, kinds, () => project(g, input, options));
  const mixed = attend(
    g,
    { query, key, value },
    {
      heads,
      kvHeads: heads,
      headDim,
      pattern: { kind: 'full' },
      ...(options.scale === undefined ? {} : { scale: options.scale }),
      ...(options.relativeBias ? { relativeBias: options.relativeBias } : {}),
      ...(positions ? { positions } : {}),
    },
  );
  const attended = nestedLeaf(g, names.attentionOutput, kinds, (name) =>
    linear(g, name, mixed, { outFeatures: width, bias: true, residual: input }),
  );
  const normed = nestedLeaf(g, names.attentionNorm, kinds, (name) => layerNorm(g, name, attended, { epsilon }));
  const { op: activation } = activationByName(options.activation);
  const inner = nestedLeaf(g, names.inner, kinds, (name) =>
    linear(g, name, normed, { outFeatures: innerFeatures, bias: true, activation }),
  );
  const outer = nestedLeaf(g, names.outer, kinds, (name) =>
    linear(g, name, inner, { outFeatures: width, bias: true, residual: normed }),
  );
  return nestedLeaf(g, names.outputNorm, kinds, (name) => layerNorm(g, name, outer, { epsilon }));
}

/** Positions are projected by the matrices of queries and keys, which then are one without that of the values. */
function project(g: GraphBuilder, input: Value, { names, disentangled }: EncoderLayerOptions) {
  const [queryName, keyName, valueName] = names.projections;
  const width = input.columns;
  const projections = (all: readonly string[]) =>
    linears(
      g,
      all.map((name) => ({ name, outFeatures: width })),
      input,
      { bias: true },
    ).each;
  if (!disentangled) {
    const [query, key, value] = projections(names.projections) as [Value, Value, Value];
    return { query, key, value };
  }
  const [query, key] = projections([queryName, keyName]) as [Value, Value];
  const [value] = projections([valueName]) as [Value];
  return { query, key, value, positions: projectPositions(g, disentangled, [queryName, keyName], width) };
}

export interface EncoderEmbeddingsOptions {
  /** Python's class, such as `BertEmbeddings`. */
  readonly kind: string;
  readonly vocabularySize: number;
  readonly width: number;
  /** Rows of the table of positions, and of that of token types (0: the model has none). */
  readonly positions: number;
  readonly tokenTypes: number;
  readonly epsilon: number;
}

/** norm(word + token type + position): what enters the first layer of BERT and its kin. */
export function encoderEmbeddings(g: GraphBuilder, name: string, options: EncoderEmbeddingsOptions): Value {
  const { kind, vocabularySize, width, positions, tokenTypes, epsilon } = options;
  return g.scope(name, kind, () => {
    const sum = embedding(g, 'word_embeddings', { count: vocabularySize, width });
    embedding(g, 'position_embeddings', { count: positions, width, index: 'position_ids', addTo: sum });
    if (tokenTypes > 0) {
      embedding(g, 'token_type_embeddings', { count: tokenTypes, width, index: 'token_type_ids', addTo: sum });
    }
    return layerNorm(g, 'LayerNorm', sum, { epsilon });
  });
}

/**
 * Runs layers one after another and makes `hidden_states.I` (I: what enters layer I; the last: what leaves the model) and
 * `last_hidden_state` readable.
 * @param finish what comes after the last layer, such as a final norm
 */
export function encoderLayers(
  g: GraphBuilder,
  input: Value,
  layers: number,
  layer: (input: Value, index: number) => Value,
  finish: (output: Value) => Value = (output) => output,
): Value {
  let stream = input;
  for (let index = 0; index < layers; index++) {
    g.output(`hidden_states.${index}`, stream);
    stream = layer(stream, index);
  }
  const last = finish(stream);
  g.output(`hidden_states.${layers}`, last);
  g.output('last_hidden_state', last);
  return last;
}
