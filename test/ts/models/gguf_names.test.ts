import type { NativeCheckpoint } from '../../../ts/binding/native';
import { ModelConfig } from '../../../ts/models/config';
import { readGguf } from '../../../ts/models/gguf';
import { ropeParameters } from '../../../ts/models/rope_config';
import { failure } from '../failure';
import { headers } from '../graph/tensors';

/** The header of a GGUF file; `vectors` can be read. */
function header(
  metadata: Readonly<Record<string, unknown>>,
  shapes: Readonly<Record<string, readonly number[]>> = {},
  vectors: Readonly<Record<string, readonly number[]>> = {},
): NativeCheckpoint {
  const vectorShapes = Object.fromEntries(Object.entries(vectors).map(([name, values]) => [name, [values.length]]));
  return {
    format: 'gguf',
    tensors: headers({ 'token_embd.weight': [50, 32], ...shapes, ...vectorShapes }),
    metadata,
    readRows: (name) => Float32Array.from(vectors[name] ?? []),
    tokenTables: async () => null,
    dispose: () => {},
  };
}

function metadata(architecture: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const own = {
    context_length: 256,
    embedding_length: 32,
    feed_forward_length: 40,
    block_count: 2,
    'attention.head_count': 4,
    'attention.head_count_kv': 2,
    'attention.layer_norm_rms_epsilon': 1e-5,
    'rope.freq_base': 5e5,
    ...more,
  };
  return {
    'general.architecture': architecture,
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
  };
}

const ropeOf = (values: Readonly<Record<string, unknown>>, headDim = 8) =>
  ropeParameters(new ModelConfig(values, 'x.gguf'), headDim);

it('reads the sizes, the tied embedding, and the ids that end a text', () => {
  const ids = {
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.ggml.eot_token_id': 9,
    'tokenizer.ggml.padding_token_id': 0,
  };
  const { config } = readGguf(header({ ...metadata('llama'), ...ids }), 'x.gguf');
  expect(config).toMatchObject({
    model_type: 'llama',
    vocab_size: 50,
    hidden_size: 32,
    intermediate_size: 40,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 8,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    bos_token_id: 1,
    eos_token_id: [2, 9],
    pad_token_id: 0,
  });
  expect(config).not.toHaveProperty('attention_bias');
  const more = readGguf(
    header(metadata('llama', { 'attention.key_length': 16 }), { 'output.weight': [50, 32], 'blk.0.attn_q.bias': [64] }),
    'x.gguf',
  );
  expect(more.config).toMatchObject({ head_dim: 16, tie_word_embeddings: false, attention_bias: true });
});

it.each([
  ['llama', true],
  ['smollm3', true],
  ['qwen2', false],
  ['qwen3', false],
])('%s: rows of q and k are put back in order: %s', (architecture, permuted) => {
  const { names } = readGguf(header(metadata(architecture)), 'x.gguf');
  const order = (heads: number) => (permuted ? { permute_rows: { dims: [heads, 4, 2], axes: [0, 2, 1] } } : {});
  expect(names('model.layers.1.self_attn.q_proj.weight')).toEqual([{ tensor: 'blk.1.attn_q.weight', ...order(4) }]);
  expect(names('model.layers.1.self_attn.k_proj.bias')).toEqual([{ tensor: 'blk.1.attn_k.bias', ...order(2) }]);
  expect(names('model.layers.0.self_attn.v_proj.weight')).toEqual([{ tensor: 'blk.0.attn_v.weight' }]);
});

it('knows the names of every module', () => {
  const { names } = readGguf(header(metadata('phi3')), 'x.gguf');
  const of = (name: string) => names(name)[0]?.tensor;
  expect(
    [
      'model.embed_tokens.weight',
      'model.norm.weight',
      'lm_head.weight',
      'model.layers.7.input_layernorm.weight',
      'model.layers.7.post_attention_layernorm.weight',
      'model.layers.7.self_attn.qkv_proj.weight',
      'model.layers.7.self_attn.o_proj.weight',
      'model.layers.7.self_attn.q_norm.weight',
      'model.layers.7.mlp.gate_up_proj.weight',
      'model.layers.7.mlp.gate_proj.weight',
      'model.layers.7.mlp.up_proj.weight',
      'model.layers.7.mlp.down_proj.weight',
      'model.layers.7.something.weight',
      'constructor.weight',
    ].map(of),
  ).toEqual([
    'token_embd.weight',
    'output_norm.weight',
    'output.weight',
    'blk.7.attn_norm.weight',
    'blk.7.ffn_norm.weight',
    'blk.7.attn_qkv.weight',
    'blk.7.attn_output.weight',
    'blk.7.attn_q_norm.weight',
    'blk.7.ffn_up.weight',
    'blk.7.ffn_gate.weight',
    'blk.7.ffn_up.weight',
    'blk.7.ffn_down.weight',
    undefined,
    undefined,
  ]);
});

describe('rotary parameters', () => {
  it('plain, linear and yarn', () => {
    expect(ropeOf(readGguf(header(metadata('llama')), 'x').config)).toMatchObject({
      rope_type: 'default',
      rope_theta: 5e5,
    });
    const scaled = (type: string) =>
      ropeOf(
        readGguf(
          header(
            metadata('qwen2', {
              'rope.scaling.type': type,
              'rope.scaling.factor': 4,
              'rope.scaling.original_context_length': 64,
            }),
          ),
          'x.gguf',
        ).config,
      );
    expect(scaled('linear')).toMatchObject({ rope_type: 'linear', factor: 4 });
    expect(scaled('yarn')).toMatchObject({ rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64 });
  });

  it('Llama 3.1: divisors of the frequencies from rope_freqs.weight', () => {
    const { config } = readGguf(header(metadata('llama'), {}, { 'rope_freqs.weight': [1, 1, 4, 8] }), 'x.gguf');
    expect(ropeOf(config)).toMatchObject({
      rope_type: 'longrope',
      short_factor: [1, 1, 4, 8],
      long_factor: [1, 1, 4, 8],
      attention_factor: 1,
    });
  });

  it('Phi-3: both lists of factors', () => {
    const { config } = readGguf(
      header(
        metadata('phi3', { 'rope.scaling.original_context_length': 64, 'rope.scaling.attn_factor': 1.25 }),
        {},
        { 'rope_factors_short.weight': [1, 1, 1, 2], 'rope_factors_long.weight': [2, 3, 4, 5] },
      ),
      'x.gguf',
    );
    expect(ropeOf(config)).toMatchObject({
      rope_type: 'longrope',
      short_factor: [1, 1, 1, 2],
      long_factor: [2, 3, 4, 5],
      attention_factor: 1.25,
      original_max_position_embeddings: 64,
    });
  });
});

describe('Gemma', () => {
  const configOf = (architecture: string, layers: number, more: Readonly<Record<string, unknown>> = {}) =>
    readGguf(header(metadata(architecture, { block_count: layers, 'attention.key_length': 16, ...more })), 'x.gguf')
      .config;

  it('scores are divided by the root of the length of heads; in the 27B by that of a share of the model', () => {
    expect(configOf('gemma2', 26).query_pre_attn_scalar).toBe(16);
    expect(configOf('gemma2', 46).query_pre_attn_scalar).toBe(8);
    expect(configOf('gemma3', 26).query_pre_attn_scalar).toBe(16);
    expect(configOf('gemma3', 62).query_pre_attn_scalar).toBe(8);
  });

  it('windows: in every other layer, and in five of six', () => {
    const wide = (architecture: string) => {
      const { layer_types } = configOf(architecture, 13, { 'attention.sliding_window': 5 });
      return (layer_types as string[]).flatMap((type, layer) => (type === 'full_attention' ? [layer] : []));
    };
    expect(wide('gemma2')).toEqual([1, 3, 5, 7, 9, 11]);
    expect(wide('gemma3')).toEqual([5, 11]);
    const { sliding_window, layer_types } = configOf('gemma3', 13);
    expect([sliding_window, layer_types]).toEqual([null, undefined]);
  });

  it('Gemma 3 turns by two bases, of which one is scaled', () => {
    const scaling = { 'rope.scaling.type': 'linear', 'rope.scaling.factor': 8 };
    const config = new ModelConfig(configOf('gemma3', 13, scaling), 'x.gguf');
    expect(ropeParameters(config, 16, 'full_attention')).toMatchObject({
      rope_theta: 5e5,
      rope_type: 'linear',
      factor: 8,
    });
    expect(ropeParameters(config, 16, 'sliding_attention')).toMatchObject({ rope_theta: 1e4, rope_type: 'default' });
  });
});

it('names what is missing or not implemented', () => {
  const unknown = failure(() => readGguf(header(metadata('mamba')), '/m/x.gguf'));
  expect([unknown.code, unknown.message]).toEqual([
    'UNSUPPORTED_ARCHITECTURE',
    expect.stringMatching(/x\.gguf.*'mamba'.*llama/),
  ]);
  const lacking = failure(() => readGguf(header({ 'general.architecture': 'llama' }), '/m/x.gguf'));
  expect([lacking.code, lacking.message]).toEqual([
    'INVALID_CHECKPOINT',
    expect.stringContaining('llama.embedding_length'),
  ]);
  const absurd = failure(() => readGguf(header(metadata('llama', { block_count: -1 })), '/m/x.gguf'));
  expect([absurd.code, absurd.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining('llama.block_count')]);
});

it.each([
  ['glm4', { 'rope.dimension_sections': [8, 12, 12, 0] }, {}, 'rope.dimension_sections'],
  ['stablelm', { 'attention.layer_norm_epsilon': 1e-5 }, { 'blk.0.attn_q_norm.weight': [4, 8] }, 'attn_q_norm'],
  ['granitemoe', { expert_shared_feed_forward_length: 64 }, {}, 'expert_shared_feed_forward_length'],
  ['falcon', { 'attention.layer_norm_epsilon': 1e-5, 'rope.freq_base': undefined }, {}, 'rope.freq_base'],
])('%s: says what of a file is not implemented', (architecture, more, shapes, what) => {
  const { code, message } = failure(() => readGguf(header(metadata(architecture, more), shapes), '/m/x.gguf'));
  expect([code, message]).toEqual(['UNSUPPORTED_ARCHITECTURE', expect.stringContaining(what)]);
  expect(message).toContain('/m/x.gguf');
});

it('takes numbers that stand once a layer where all layers have the same', () => {
  const configOf = (perLayer: readonly number[]) =>
    readGguf(header(metadata('llama', { 'attention.head_count_kv': perLayer })), 'x.gguf').config;
  expect(configOf([2, 2]).num_key_value_heads).toBe(2);
  const { code, message } = failure(() => configOf([2, 4]));
  expect([code, message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining('num_key_value_heads')]);
});

it('turns a part of a head where the file says how much, also without saying how long heads are', () => {
  const { config } = readGguf(header(metadata('phi3', { 'rope.dimension_count': 6 })), 'x.gguf');
  const turned = (share: object) =>
    ropeOf({ ...config, rope_parameters: { rope_type: 'default', rope_theta: 5e5, ...share } });
  expect(ropeOf(config)).toEqual(turned({ partial_rotary_factor: 0.75 }));
  expect(ropeOf(config)).not.toEqual(turned({}));
});
