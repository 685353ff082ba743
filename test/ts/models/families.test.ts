import { GraphBuilder } from '../../../ts/graph/builder';
import type { NormOp, Op } from '../../../ts/graph/program';
import type { ConfigValues } from '../../../ts/models/config';
import { findArchitecture } from '../../../ts/models/registry';
import { floatKeeping } from '../../../ts/quantization/float_policy';
import { failure } from '../failure';
import { builderOver, headers } from '../graph/tensors';
import { randomLlama } from '../random_checkpoint';
import { AnyTensor, attentions, build, buildOnly, isRope, small, tensors, windows } from './built_families';

describe('llama', () => {
  it('reads the tensors of its checkpoints, biases only where the configuration has them', () => {
    const layer = (name: string) => `model.layers.3.${name}`;
    const names = tensors(build({ model_type: 'llama' }).program);
    expect(names.filter((name) => name.startsWith('model.layers.3.')).sort()).toEqual(
      [
        layer('input_layernorm.weight'),
        layer('mlp.down_proj.weight'),
        layer('mlp.gate_proj.weight'),
        layer('mlp.up_proj.weight'),
        layer('post_attention_layernorm.weight'),
        layer('self_attn.k_proj.weight'),
        layer('self_attn.o_proj.weight'),
        layer('self_attn.q_proj.weight'),
        layer('self_attn.v_proj.weight'),
      ].sort(),
    );
    expect(names.filter((name) => !name.startsWith('model.layers.'))).toEqual([
      'model.embed_tokens.weight',
      'model.norm.weight',
      'lm_head.weight',
    ]);
    const biased = tensors(build({ model_type: 'llama', attention_bias: true, mlp_bias: true }).program);
    expect(biased.filter((name) => name.endsWith('.bias'))).toHaveLength(4 * 7);
    expect(tensors(build({ model_type: 'llama', tie_word_embeddings: true }).program)).not.toContain('lm_head.weight');
  });

  it('prints as Python prints it', () => {
    expect(build({ model_type: 'llama' }).text).toBe(`LlamaForCausalLM(
  (model): LlamaModel(
    (embed_tokens): Embedding(50, 32)
    (layers): ModuleList(
      (0-3): 4 x LlamaDecoderLayer(
        (self_attn): LlamaAttention(
          (q_proj): Linear(in_features=32, out_features=32, bias=False)
          (k_proj): Linear(in_features=32, out_features=16, bias=False)
          (v_proj): Linear(in_features=32, out_features=16, bias=False)
          (o_proj): Linear(in_features=32, out_features=32, bias=False)
        )
        (mlp): LlamaMLP(
          (gate_proj): Linear(in_features=32, out_features=40, bias=False)
          (up_proj): Linear(in_features=32, out_features=40, bias=False)
          (down_proj): Linear(in_features=40, out_features=32, bias=False)
          (act_fn): SiLUActivation()
        )
        (input_layernorm): LlamaRMSNorm((32,), eps=1e-06)
        (post_attention_layernorm): LlamaRMSNorm((32,), eps=1e-06)
      )
    )
    (norm): LlamaRMSNorm((32,), eps=1e-06)
    (rotary_emb): LlamaRotaryEmbedding()
  )
  (lm_head): Linear(in_features=32, out_features=50, bias=False)
)`);
  });

  it('ties the head to the embedding or the other way round, and reads both where the file has both', () => {
    const model = randomLlama(); // tied, with no head of its own
    const [embedding] = model.tensors;
    const weights = (names: readonly string[]) => {
      const others = model.tensors.filter((tensor) => tensor !== embedding);
      const shapes = [
        ...names.map((name) => [name, embedding?.shape]),
        ...others.map(({ name, shape }) => [name, shape]),
      ];
      const { architecture, config } = findArchitecture(model.config, 'config.json', 'causal-lm');
      const g = builderOver(headers(Object.fromEntries(shapes)));
      architecture.build(config, g, 'causal-lm');
      const { ops } = g.lower();
      const table = ops.find((op) => op.op === 'embedding')?.table;
      const head = ops.filter((op) => op.op === 'linear').at(-1)?.weight;
      return [table, head].map((index) => g.lower().weights[index ?? -1]?.name);
    };
    const [table, head] = ['model.embed_tokens.weight', 'lm_head.weight'];
    expect(weights([table])).toEqual([table, table]);
    expect(weights([head])).toEqual([head, head]);
    expect(weights([table, head])).toEqual([table, head]);
  });

  it('takes head_dim as given, whatever hidden_size and heads say', () => {
    const { program } = build({ model_type: 'llama', head_dim: 6 });
    expect(program.cache_layers[0]).toEqual({ kv_heads: 2, head_dim: 6 });
    expect(attentions(program)[0]?.scale).toBe(6 ** -0.5);
  });

  it('reads both spellings of rope scaling alike', () => {
    const scaling = { factor: 8, high_freq_factor: 4, low_freq_factor: 1, original_max_position_embeddings: 32 };
    const table = (values: ConfigValues) =>
      build({ model_type: 'llama', ...values }).program.ops.find((op) => op.op === 'rope_table');
    const older = table({ rope_theta: 5e5, rope_scaling: { ...scaling, rope_type: 'llama3' } });
    expect(older).toEqual(table({ rope_parameters: { ...scaling, rope_theta: 5e5, rope_type: 'llama3' } }));
    expect(older).toEqual(table({ rope_theta: 5e5, rope_scaling: { ...scaling, type: 'llama3' } }));
    expect(older).not.toEqual(table({ rope_theta: 5e5 }));
  });
});

describe('sliding windows', () => {
  it('mistral: every layer, 4096 where the key is left out, none where it is null', () => {
    expect(windows({ model_type: 'mistral', sliding_window: 8 })).toEqual([8, 8, 8, 8]);
    expect(windows({ model_type: 'mistral' })).toEqual([4096, 4096, 4096, 4096]);
    expect(windows({ model_type: 'mistral', sliding_window: null })).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('qwen2: from max_window_layers on, only when switched on; layer_types wins', () => {
    const none = [undefined, undefined, undefined, undefined];
    expect(windows({ model_type: 'qwen2', sliding_window: 8, max_window_layers: 1 })).toEqual(none);
    const on = { model_type: 'qwen2', use_sliding_window: true, sliding_window: 8 };
    expect(windows({ ...on, max_window_layers: 1 })).toEqual([undefined, 8, 8, 8]);
    const layer_types = ['sliding_attention', 'full_attention', 'sliding_attention', 'full_attention'];
    expect(windows({ ...on, max_window_layers: 1, layer_types })).toEqual([8, undefined, 8, undefined]);
    const error = failure(() => windows({ model_type: 'qwen2', sliding_window: 8, layer_types }));
    expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining("'layer_types'")]);
  });
});

describe('what the other families have of their own', () => {
  it('qwen2: biases on q, k and v only', () => {
    const biases = tensors(build({ model_type: 'qwen2' }).program).filter((name) => name.endsWith('.bias'));
    expect(biases).toHaveLength(4 * 3);
    expect(biases.some((name) => name.includes('o_proj'))).toBe(false);
  });

  it('qwen3: heads of 128 by default, normalized before they are rotated', () => {
    const { program } = build({ model_type: 'qwen3' });
    expect(program.cache_layers[0]?.head_dim).toBe(128);
    const heads = program.ops.filter((op): op is NormOp => op.op === 'norm' && op.group === 128);
    expect(heads).toHaveLength(2 * 4);
    const firstRope = program.ops.findIndex(isRope);
    expect(program.ops.slice(firstRope - 2, firstRope).map((op) => op.op)).toEqual(['norm', 'norm']);
    const [query] = heads;
    expect(query?.input).toEqual(query?.out);
  });

  it('phi3: fused tensors; su and yarn are longrope', () => {
    const { program } = build({ model_type: 'phi3' });
    expect(tensors(program)).toContain('model.layers.0.self_attn.qkv_proj.weight');
    expect(tensors(program)).toContain('model.layers.0.mlp.gate_up_proj.weight');
    const factors = { short_factor: [1, 1, 1, 1], long_factor: [2, 2, 2, 2] };
    for (const type of ['su', 'yarn', 'longrope']) {
      const scaled = build({
        model_type: 'phi3',
        max_position_embeddings: 256,
        original_max_position_embeddings: 64,
        rope_scaling: { type, ...factors },
      });
      const table = scaled.program.ops.find((op) => op.op === 'rope_table');
      expect(table?.long?.original_max).toBe(64);
      expect(table?.attention_factor).toBeCloseTo(Math.sqrt(1 + Math.log(4) / Math.log(64)), 12);
    }
  });

  it('smollm3: every fourth layer without positions, or those that are listed', () => {
    const rotated = (values: ConfigValues) => {
      const { ops } = build({ model_type: 'smollm3', ...values }).program;
      return ops.filter((op) => isRope(op) || op.op === 'attention').map((op) => op.op);
    };
    const [yes, no] = [['rope', 'attention'], ['attention']];
    expect(rotated({})).toEqual([...yes, ...yes, ...yes, ...no]);
    expect(rotated({ no_rope_layers: [0, 1, 0, 1] })).toEqual([...no, ...yes, ...no, ...yes]);
    expect(tensors(build({ model_type: 'smollm3' }).program)).not.toContain('lm_head.weight');
  });
});

describe('decoders with names of their own', () => {
  const gpt2 = { model_type: 'gpt2', n_embd: 24, n_layer: 2, n_head: 3, n_positions: 16, vocab_size: 50 };

  it("gpt2: scores by the configuration's switches", () => {
    const scales = (values: ConfigValues) =>
      attentions(buildOnly({ ...gpt2, ...values }).program).map((op) => op.scale);
    expect(scales({})).toEqual([8 ** -0.5, 8 ** -0.5]);
    expect(scales({ scale_attn_by_inverse_layer_idx: true })).toEqual([8 ** -0.5, 8 ** -0.5 / 2]);
    expect(scales({ scale_attn_weights: false })).toEqual([1, 1]);
  });

  it('reads keys by the names that most families have, too', () => {
    const { n_embd, n_layer, n_head, ...rest } = gpt2;
    const renamed = { ...rest, hidden_size: n_embd, num_hidden_layers: n_layer, num_attention_heads: n_head };
    expect(buildOnly(renamed).program).toEqual(buildOnly(gpt2).program);
  });

  it("gemma3: both spellings of its two rotary bases are alike, and the older one's scaling is not for sliding layers", () => {
    const tables = (values: ConfigValues) =>
      build({ model_type: 'gemma3_text', ...values }).program.ops.filter((op) => op.op === 'rope_table');
    const older = tables({
      rope_theta: 5e5,
      rope_local_base_freq: 2e4,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    });
    const newer = tables({
      rope_parameters: {
        full_attention: { rope_type: 'linear', factor: 8, rope_theta: 5e5 },
        sliding_attention: { rope_type: 'default', rope_theta: 2e4 },
      },
    });
    const frequencies = (found: readonly Op[]) => found.map((op) => (op.op === 'rope_table' ? op.inv_freq : []));
    expect(frequencies(older)).toEqual(frequencies(newer));
    const [full, sliding] = frequencies(older);
    expect([full?.[0], sliding?.[0]]).toEqual([1 / 8, 1]);
  });

  it("gemma3: every sixth layer sees everything, or as the pattern's period says", () => {
    const sees = (values: ConfigValues) => windows({ model_type: 'gemma3_text', sliding_window: 8, ...values });
    expect(sees({ num_hidden_layers: 7 })).toEqual([8, 8, 8, 8, 8, undefined, 8]);
    expect(sees({ sliding_window_pattern: 2 })).toEqual([8, undefined, 8, undefined]);
  });

  it('gemma: embeddings are scaled by a float32 square root, and its first files mean the approximate GELU', () => {
    const { ops } = build({ model_type: 'gemma', hidden_act: 'gelu' }).program;
    expect(ops.find((op) => op.op === 'embedding')?.scale).toBe(Math.fround(Math.sqrt(32)));
    expect(ops.find((op) => op.op === 'gated_activation')?.activation).toBe('gelu_tanh');
  });

  it('falcon: the rows of groups give all queries, then all keys, then all values', () => {
    const program = build({ model_type: 'falcon', new_decoder_architecture: true, num_kv_heads: 2 }).program;
    const fused = program.weights.find((weight) => weight.name.endsWith('query_key_value.weight'));
    // Two groups of two queries, a key and a value, 8 rows each.
    expect(fused?.shape).toEqual([64, 32]);
    expect(fused?.parts.map((part) => part.take_rows)).toEqual([
      { first: 0, count: 16 },
      { first: 32, count: 16 },
      { first: 32, count: 32 },
    ]);
    expect(fused?.parts[2]?.permute_rows).toEqual({ dims: [2, 4, 8], axes: [1, 0, 2] });
  });

  it('bloom: slopes are those of the paper, and for 6 heads 4 of them and every other one of 8', () => {
    const slopes = (heads: number) =>
      attentions(
        build({ model_type: 'bloom', hidden_size: 8 * heads, num_attention_heads: heads, num_key_value_heads: heads })
          .program,
      )[0]?.alibi_slopes;
    expect(slopes(8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((exponent) => 2 ** -exponent));
    expect(slopes(6)).toEqual([2, 4, 6, 8, 1, 3].map((exponent) => 2 ** -exponent));
  });

  it.each([
    [{ ...gpt2, add_cross_attention: true }, 'add_cross_attention'],
    [{ ...gpt2, n_embd: 25 }, 'n_embd'],
    [{ model_type: 'gpt_neo', ...small, attention_types: [[['global'], 3]] }, 'attention_types'],
    [{ model_type: 'gpt_neo', ...small, attention_types: [[['global'], 1e9]] }, 'attention_types'],
    [{ model_type: 'gptj', ...small, rotary_dim: 9 }, 'rotary_dim'],
    [{ model_type: 'falcon', ...small, new_decoder_architecture: true, parallel_attn: false }, 'parallel_attn'],
    [{ model_type: 'falcon', ...small, new_decoder_architecture: true, num_kv_heads: 3 }, 'num_kv_heads'],
    [{ model_type: 'gemma', ...small, use_bidirectional_attention: true }, 'use_bidirectional_attention'],
    [{ model_type: 'gemma2', ...small, query_pre_attn_scalar: 0 }, 'query_pre_attn_scalar'],
  ])('%j names its key', (values, key) => {
    const error = failure(() => buildOnly(values));
    expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining(`'${key}'`)]);
  });
});

describe('mixtures of experts', () => {
  const moe = { model_type: 'qwen3_moe', num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 12 };
  const routings = (values: ConfigValues) =>
    build({ ...moe, ...values }).program.ops.filter((op) => op.op === 'expert_routing');

  it('layers have experts by decoder_sparse_step and mlp_only_layers; none where there are no experts', () => {
    const sparse = (values: ConfigValues) => {
      const names = tensors(build({ ...moe, ...values }).program);
      return [0, 1, 2, 3].filter((layer) => names.includes(`model.layers.${layer}.mlp.experts.5.down_proj.weight`));
    };
    expect(sparse({})).toEqual([0, 1, 2, 3]);
    expect(sparse({ decoder_sparse_step: 2 })).toEqual([1, 3]);
    expect(sparse({ mlp_only_layers: [0, 3] })).toEqual([1, 2]);
    expect(routings({ num_experts: 0 })).toEqual([]);
  });

  it('probabilities are divided by their sum where the family or the configuration says so', () => {
    const normalized = (values: ConfigValues) =>
      routings(values).map((op) => op.op === 'expert_routing' && op.normalize);
    expect(normalized({})).toEqual([undefined, undefined, undefined, undefined]);
    expect(normalized({ norm_topk_prob: true })).toEqual([true, true, true, true]);
    expect(normalized({ model_type: 'mixtral', num_local_experts: 3 })).toEqual([true, true, true, true]);
  });

  it('qwen2_moe: even layers below max_window_layers have the window', () => {
    const values = { ...moe, model_type: 'qwen2_moe', use_sliding_window: true, sliding_window: 8 };
    expect(windows(values)).toEqual([8, undefined, 8, undefined]);
    expect(windows({ ...values, max_window_layers: 1 })).toEqual([8, undefined, undefined, undefined]);
    expect(windows({ ...values, use_sliding_window: false, sliding_window: 0 })).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('stacked experts are the rows of one tensor', () => {
    const g = new GraphBuilder(
      new (class extends AnyTensor {
        override find(name: string) {
          return name.endsWith('experts.gate_up_proj') ? this.require(name, []) : undefined;
        }
      })(),
      { keeping: () => floatKeeping('auto') },
    );
    const { architecture, config } = findArchitecture({ ...small, ...moe }, 'config.json', 'causal-lm');
    architecture.build(config, g, 'causal-lm');
    const { ops, weights } = g.lower();
    const [gate, up, down] = ops.filter((op) => op.op === 'grouped_linear');
    const fourth = [gate, up, down].map((op) => weights[op?.op === 'grouped_linear' ? (op.weights[3] ?? -1) : -1]);
    const path = 'model.layers.0.mlp.experts';
    expect(fourth.map((weight) => weight?.shape)).toEqual([
      [12, 32],
      [12, 32],
      [32, 12],
    ]);
    expect(fourth.map((weight) => weight?.parts[0])).toEqual([
      { tensor: `${path}.gate_up_proj`, shape: [6, 24, 32], take_rows: { first: 72, count: 12 } },
      { tensor: `${path}.gate_up_proj`, shape: [6, 24, 32], take_rows: { first: 84, count: 12 } },
      { tensor: `${path}.down_proj`, shape: [6, 32, 12], take_rows: { first: 96, count: 32 } },
    ]);
  });

  it.each([
    [{ num_experts_per_tok: 7 }, 'num_experts_per_tok'],
    [{ num_experts: 1e9 }, 'num_experts'],
    [{ decoder_sparse_step: 0 }, 'decoder_sparse_step'],
    [{ mlp_only_layers: ['first'] }, 'mlp_only_layers'],
  ])('%j names its key', (values, key) => {
    const error = failure(() => build({ ...moe, ...values }));
    expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining(`'${key}'`)]);
  });
});

describe('configurations that cannot be', () => {
  it.each([
    [{ num_hidden_layers: 1e9 }, 'num_hidden_layers'],
    [{ hidden_size: -1 }, 'hidden_size'],
    [{ hidden_size: 33 }, 'hidden_size'],
    [{ num_key_value_heads: 3 }, 'num_key_value_heads'],
    [{ vocab_size: '50' }, 'vocab_size'],
    [{ hidden_act: 'sulu' }, 'hidden_act'],
    [{ rms_norm_eps: Number.NaN }, 'rms_norm_eps'],
    [{ rope_scaling: { rope_type: 'spiral' } }, 'spiral'],
    [{ rope_scaling: { rope_type: 'linear' } }, "'factor'"],
    [{ rope_scaling: 7 }, 'rope_scaling'],
  ])('%j is named', (values, key) => {
    const error = failure(() => build({ model_type: 'llama', ...values }));
    expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining(key)]);
  });

  it('an unknown model_type gives the families there are', () => {
    const error = failure(() => build({ model_type: 'lama' }));
    expect(error.code).toBe('UNSUPPORTED_ARCHITECTURE');
    expect(error.message).toMatch(/'lama'.*nearest is 'llama'.*llama, .*smollm3.*defineArchitecture/);
  });
});
