import { OctoformerError } from '../binding/error';
import type { RelativeBias } from '../graph/attention_ops';
import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import {
  attention,
  crossAttention,
  embedding,
  feedForward,
  gatedFeedForward,
  languageModelHead,
  layerStack,
  relativeBias,
  rmsNorm,
  tableModule,
  tieMatrices,
} from '../modules';
import type { ProjectionNames } from '../modules/attention';
import type { Architecture } from './architecture';
import { type ModelConfig, maxHeads, maxLayers, maxVocabulary } from './config';

interface T5Sizes {
  readonly width: number;
  readonly heads: number;
  readonly headDim: number;
  readonly innerFeatures: number;
  readonly epsilon: number;
  readonly activation: string;
  readonly gated: boolean;
  readonly buckets: number;
  readonly maxDistance: number;
}

const projections: ProjectionNames = ['q', 'k', 'v'];

/**
 * T5 (Raffel et al. 2020), T5 v1.1 and FLAN-T5 (gated feed-forward), and what was built like them: norms without means before every
 * branch, biases by relative position, scores that are not scaled.
 */
export const t5: Architecture = {
  model_type: 't5',
  family: 'T5',
  tasks: ['seq2seq-lm', 'base'],
  base_model_prefix: 'transformer',
  defaults: {
    vocab_size: 32128,
    d_model: 512,
    d_kv: 64,
    d_ff: 2048,
    num_layers: 6,
    num_heads: 8,
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    layer_norm_epsilon: 1e-6,
    feed_forward_proj: 'relu',
    pad_token_id: 0,
    eos_token_id: 1,
  },
  build(config, g, task) {
    const sizes = readSizes(config);
    const { width } = sizes;
    const layers = config.integer('num_layers', { most: maxLayers });
    const decoderLayers = config.integer('num_decoder_layers', { most: maxLayers, otherwise: layers });
    const vocabularySize = config.integer('vocab_size', { most: maxVocabulary });
    // Older files have the one table under a stack's name.
    const tables = ['shared', 'encoder.embed_tokens', 'decoder.embed_tokens'].map((name) => `${name}.weight`);
    const stored = tables.find((name) => g.hasTensor(name)) ?? 'shared.weight';
    const { table, head } = tieMatrices(g, true, stored);
    tableModule(g, 'shared', { count: vocabularySize, width, weight: table });
    const words = (name: string) => embedding(g, name, { count: vocabularySize, width, weight: table });
    const stack = (name: 'encoder' | 'decoder', count: number, memory?: Value) =>
      g.scope(
        name,
        'T5Stack',
        () => {
          const stream = words('embed_tokens');
          const bias = sharedBias(g, sizes, memory === undefined);
          return layerStack(g, {
            list: 'block',
            layers: count,
            stream,
            block: (input, index) => block(g, String(index), input, sizes, bias, memory),
            finish: (last) => rmsNorm(g, 'final_layer_norm', last, { epsilon: sizes.epsilon, kind: 'T5LayerNorm' }),
          });
        },
        { order: ['embed_tokens', 'block', 'final_layer_norm'] },
      );
    const memory = g.inEncoder(() => stack('encoder', layers));
    const hidden = stack('decoder', decoderLayers, memory);
    if (task === 'base') return;
    languageModelHead(g, scaled(g, config, hidden), { vocabularySize, weight: head });
  },
};

function readSizes(config: ModelConfig): T5Sizes {
  const kind = config.string('feed_forward_proj');
  const [first = '', second, ...rest] = kind.split('-');
  const gated = first === 'gated' && second !== undefined;
  if (rest.length > 0 || (second !== undefined && !gated)) {
    throw new OctoformerError(
      'UNSUPPORTED_ARCHITECTURE',
      `${config.file}: 'feed_forward_proj' is '${kind}', but must be an activation such as 'relu', or 'gated-' and one`,
    );
  }
  return {
    width: config.integer('d_model'),
    heads: config.integer('num_heads', { most: maxHeads }),
    headDim: config.integer('d_kv'),
    innerFeatures: config.integer('d_ff'),
    epsilon: config.number('layer_norm_epsilon', { most: 1 }),
    // T5 v1.1 was trained with the approximation by tanh, under the name of the exact one.
    activation: kind === 'gated-gelu' ? 'gelu_new' : gated ? second : first,
    gated,
    buckets: config.integer('relative_attention_num_buckets', { least: 4 }),
    maxDistance: config.integer('relative_attention_max_distance'),
  };
}

/** The table of the first layer, by which all layers of a stack are biased. */
function sharedBias(g: GraphBuilder, { buckets, heads, maxDistance }: T5Sizes, bidirectional: boolean): RelativeBias {
  const options = { buckets, heads, maxDistance, bidirectional };
  return g.scope('block', 'ModuleList', () =>
    g.scope('0', 'T5Block', () =>
      g.scope('layer', 'ModuleList', () =>
        g.scope('0', 'T5LayerSelfAttention', () =>
          g.scope('SelfAttention', 'T5Attention', () => relativeBias(g, 'relative_attention_bias', options)),
        ),
      ),
    ),
  );
}

/** x + branch(norm(x)) for self-attention, in the decoder for attention to the encoder, and for the feed-forward network. */
function block(
  g: GraphBuilder,
  name: string,
  input: Value,
  sizes: T5Sizes,
  bias: RelativeBias,
  memory: Value | undefined,
): Value {
  const { width, heads, headDim, epsilon } = sizes;
  const shared = { heads, headDim, outFeatures: width, projections, outputName: 'o', scale: 1, kind: 'T5Attention' };
  let index = 0;
  const branch = (stream: Value, kind: string, inner: string, run: (normed: Value) => Value) =>
    g.scope(String(index++), kind, () => run(rmsNorm(g, 'layer_norm', stream, { epsilon, kind: 'T5LayerNorm' })), {
      order: [inner, 'layer_norm'],
    });
  const body = () => {
    const pattern = memory ? 'causal' : 'full';
    let stream = branch(input, 'T5LayerSelfAttention', 'SelfAttention', (normed) =>
      attention(g, 'SelfAttention', normed, { ...shared, pattern, relativeBias: bias, residual: input }),
    );
    if (memory) {
      const residual = stream;
      stream = branch(residual, 'T5LayerCrossAttention', 'EncDecAttention', (normed) =>
        crossAttention(g, 'EncDecAttention', normed, { ...shared, memory, residual }),
      );
    }
    const residual = stream;
    return branch(residual, 'T5LayerFF', 'DenseReluDense', (normed) => network(g, normed, sizes, residual));
  };
  return g.scope(name, 'T5Block', () => g.scope('layer', 'ModuleList', body));
}

function network(g: GraphBuilder, input: Value, sizes: T5Sizes, residual: Value): Value {
  const { gated, innerFeatures, width, activation } = sizes;
  // Its values are the largest of the model, which int8 does not bear: Python's class keeps `wo` in float32 too.
  const options = {
    innerFeatures,
    outFeatures: width,
    activation,
    activationName: 'act',
    downPlace: 'float' as const,
    residual,
  };
  return gated
    ? gatedFeedForward(g, 'DenseReluDense', input, {
        ...options,
        kind: 'T5DenseGatedActDense',
        names: ['wi_0', 'wi_1', 'wo'],
      })
    : feedForward(g, 'DenseReluDense', input, {
        ...options,
        kind: 'T5DenseActDense',
        upName: 'wi',
        downName: 'wo',
      });
}

/** The first T5 scales what enters the head, whose matrix is the embedding's; v1.1 doesn't. */
function scaled(g: GraphBuilder, config: ModelConfig, hidden: Value): Value {
  const untied = config.get('tie_word_embeddings') === false;
  if (!config.boolean('scale_decoder_outputs', !untied)) return hidden;
  const out = g.buffer('tokens', hidden.columns);
  g.add({ op: 'scale', input: hidden, factor: hidden.columns ** -0.5, out });
  return out;
}
