/**
 * The original Transformer (Vaswani et al. 2017, "Attention Is All You Need"), assembled with `defineArchitecture` from the vocabulary `nn`:
 * an encoder and a decoder of post-norm layers, sinusoidal positions, and one table for both embeddings and the output.
 *
 * `node dist/examples/transformer.js` prints the parameters of the paper's base model. In a program of your own, import from
 * 'octoformer' instead of '../index'.
 */
import { defineArchitecture, type GraphBuilder, type ModelConfig, nn, type Value } from '../index';

/** The paper's base model (section 5 and table 3): about 65 million parameters. */
export const base = {
  model_type: 'transformer',
  vocab_size: 37_000, // English and German together, section 5.1
  d_model: 512,
  num_layers: 6,
  num_heads: 8,
  d_ff: 2048,
  decoder_start_token_id: 0,
  eos_token_id: 1,
} as const;

const epsilon = 1e-6; // what tensor2tensor, the paper's code, adds to variances

interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly innerFeatures: number;
}

/** `LayerNorm(x + Sublayer(x))` (section 3.1): the sublayer adds its input itself. */
function addAndNorm(g: GraphBuilder, name: string, sum: Value): Value {
  return nn.layerNorm(g, name, sum, { epsilon });
}

/** A layer of the encoder, or, given what the encoder made (`memory`), one of the decoder (figure 1). */
function layer(g: GraphBuilder, name: string, input: Value, sizes: Sizes, memory?: Value): Value {
  const { width, heads, innerFeatures } = sizes;
  const heading = { heads, headDim: width / heads, outFeatures: width };
  return g.scope(name, memory ? 'DecoderLayer' : 'EncoderLayer', () => {
    const pattern = memory ? 'causal' : 'full';
    let stream = nn.attention(g, 'self_attention', input, { ...heading, pattern, residual: input });
    stream = addAndNorm(g, 'self_attention_norm', stream);
    if (memory) {
      const mixed = nn.crossAttention(g, 'encoder_attention', stream, { ...heading, memory, residual: stream });
      stream = addAndNorm(g, 'encoder_attention_norm', mixed);
    }
    const network = nn.feedForward(g, 'feed_forward', stream, {
      innerFeatures,
      outFeatures: width,
      activation: 'relu',
      bias: true,
      residual: stream,
    });
    return addAndNorm(g, 'feed_forward_norm', network);
  });
}

function stack(g: GraphBuilder, name: 'encoder' | 'decoder', config: ModelConfig, memory?: Value): Value {
  const width = config.integer('d_model');
  const sizes = { width, heads: config.integer('num_heads'), innerFeatures: config.integer('d_ff') };
  return g.scope(name, memory ? 'Decoder' : 'Encoder', () => {
    // Section 3.4: embeddings times sqrt(d_model); section 3.5: positions by sines and cosines.
    const stream = nn.embedding(g, 'embedding', {
      count: config.integer('vocab_size'),
      width,
      scale: Math.sqrt(width),
      weight: 'embedding.weight',
    });
    nn.sinusoidalPositions(g, 'positions', { width, kind: 'Sinusoids', addTo: stream });
    return nn.layerStack(g, {
      layers: config.integer('num_layers'),
      stream,
      block: (input, index) => layer(g, String(index), input, sizes, memory),
    });
  });
}

/** The architecture; checkpoints have `embedding.weight`, `encoder.layers.I....` and `decoder.layers.I....`. */
export const transformer = defineArchitecture({
  model_type: 'transformer',
  tasks: ['seq2seq-lm', 'base'],
  build(config, g, task) {
    const memory = g.inEncoder(() => stack(g, 'encoder', config));
    const hidden = stack(g, 'decoder', config, memory);
    if (task === 'base') return;
    nn.languageModelHead(g, hidden, {
      name: 'output',
      vocabularySize: config.integer('vocab_size'),
      weight: 'embedding.weight', // the same matrix once more, section 3.4
    });
  },
});

/** Parameters by part, as a text of lines: the layers of a stack together. */
export function parameterTable(config: Readonly<Record<string, unknown>>): string {
  const counts = new Map<string, number>();
  let total = 0;
  for (const [name, shape] of nn.parameters(config)) {
    const count = shape.reduce((product, size) => product * size, 1);
    const part = name
      .replace(/\.layers\.\d+\./, '.')
      .replace(/(_proj)?\.(weight|bias)$/, '')
      .replace(/\.[a-z]+$/, '');
    counts.set(part, (counts.get(part) ?? 0) + count);
    total += count;
  }
  const lines = [...counts, ['total', total] as const];
  const width = Math.max(...lines.map(([part]) => part.length));
  return lines
    .map(([part, count]) => `${part.padEnd(width)}  ${count.toLocaleString('en-US').padStart(11)}`)
    .join('\n');
}

if (require.main === module) console.log(parameterTable(base));
