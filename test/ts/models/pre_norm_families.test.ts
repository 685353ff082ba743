import type { Op } from '../../../ts/graph/program';
import type { ConfigValues } from '../../../ts/models/config';
import { failure } from '../failure';
import { build, isRope, tensors, windows } from './built_families';

const tables = (values: ConfigValues) => build(values).program.ops.filter((op) => op.op === 'rope_table');

/** For every layer whether its heads are rotated. */
function rotated(values: ConfigValues): boolean[] {
  const ops: readonly Op[] = build(values).program.ops.filter((op) => isRope(op) || op.op === 'attention');
  return ops.flatMap((op, index) => (op.op === 'attention' ? [ops[index - 1]?.op === 'rope'] : []));
}

describe('windows and positions by layer', () => {
  it.each(['olmo3', 'cohere2', 'exaone4'])(
    '%s: all layers but every fourth, or as layer_types has them',
    (model_type) => {
      expect(windows({ model_type })).toEqual([4096, 4096, 4096, undefined]);
      const layer_types = ['full_attention', 'sliding_attention', 'full_attention', 'full_attention'];
      expect(windows({ model_type, sliding_window: 7, layer_types })).toEqual([undefined, 7, undefined, undefined]);
      const error = failure(() => windows({ model_type, sliding_window: null, layer_types }));
      expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining('sliding_window')]);
    },
  );

  it.each(['cohere2', 'exaone4'])(
    '%s: the period of the pattern; layers without a window are not rotated',
    (model_type) => {
      const values = { model_type, sliding_window: 7, sliding_window_pattern: 2 };
      expect(windows(values)).toEqual([7, undefined, 7, undefined]);
      expect(rotated(values)).toEqual([true, false, true, false]);
    },
  );

  it('without windows exaone4 rotates everywhere, cohere2 nowhere', () => {
    const none = { sliding_window: null, layer_types: Array(4).fill('full_attention') };
    expect(rotated({ model_type: 'exaone4', ...none })).toEqual([true, true, true, true]);
    expect(rotated({ model_type: 'exaone4', sliding_window: null })).toEqual([true, true, true, true]);
    expect(rotated({ model_type: 'cohere2', ...none })).toEqual([false, false, false, false]);
  });

  it('granitemoehybrid: rotates where the file says so, by either name of layers of attention', () => {
    const values = { model_type: 'granitemoehybrid', num_local_experts: 0 };
    const layers_block_type = Array(4).fill('attention');
    expect(rotated({ ...values, layers_block_type })).toEqual([false, false, false, false]);
    const rope = { ...values, position_embedding_type: 'rope', layer_types: Array(4).fill('full_attention') };
    expect(rotated(rope)).toEqual([true, true, true, true]);
  });

  it('exaone4: a pattern of letters is for files that have layer_types, too', () => {
    const values = { model_type: 'exaone4', sliding_window: 7, sliding_window_pattern: 'LLLG' };
    const layer_types = ['sliding_attention', 'sliding_attention', 'sliding_attention', 'full_attention'];
    expect(windows({ ...values, layer_types })).toEqual([7, 7, 7, undefined]);
    const error = failure(() => windows(values));
    expect([error.code, error.message]).toEqual([
      'INVALID_CHECKPOINT',
      expect.stringContaining("'sliding_window_pattern'"),
    ]);
  });
});

describe('rotary embeddings', () => {
  it("olmo3: both spellings are alike, and the older one's scaling is not for sliding layers", () => {
    const yarn = { rope_type: 'yarn', factor: 8, original_max_position_embeddings: 512, attention_factor: 1.25 };
    const older = tables({ model_type: 'olmo3', rope_theta: 3e5, rope_scaling: yarn });
    const newer = tables({
      model_type: 'olmo3',
      rope_parameters: {
        full_attention: { ...yarn, rope_theta: 3e5 },
        sliding_attention: { rope_type: 'default', rope_theta: 3e5 },
      },
    });
    expect(older).toEqual(newer);
    const [full, sliding] = older.map((op) => (op.op === 'rope_table' ? op.attention_factor : 0));
    expect([full, sliding]).toEqual([1.25, 1]);
    const [fullTable, slidingTable] = older.map((op) => (op.op === 'rope_table' ? op.out.buffer : -1));
    const ropes = build({ model_type: 'olmo3' }).program.ops.filter(isRope);
    const used = ropes.map((op) => op.table.buffer);
    expect(used).toEqual([slidingTable, slidingTable, slidingTable, fullTable]);
  });

  it('hunyuan: alpha makes the base larger, and `dynamic` without it is what it is elsewhere', () => {
    const of = (rope_scaling: object) => tables({ model_type: 'hunyuan_v1_dense', rope_theta: 1e4, rope_scaling })[0];
    const scaled = of({ type: 'dynamic', alpha: 1000, factor: 1 });
    expect(scaled).toEqual(of({ type: 'default', rope_theta: 1e4 * 1000 ** (8 / 6) }));
    expect(of({ type: 'dynamic', factor: 2 })).toMatchObject({ dynamic: { factor: 2, base: 1e4 } });
  });

  it.each([
    ['glm', 8, 'adjacent'],
    ['glm4', 8, 'adjacent'],
    ['nemotron', 8, 'half'],
    ['stablelm', 4, 'half'],
    ['cohere', 16, 'adjacent'],
    ['ernie4_5', 16, 'adjacent'],
    ['arcee', 16, 'half'],
  ])('%s: %d columns of 16 are rotated, pairs are %s', (model_type, columns, pairing) => {
    const { program } = build({ model_type, hidden_size: 64, head_dim: 16 });
    const rope = program.ops.find(isRope);
    expect([rope?.table.columns, rope?.pairing]).toEqual([columns, pairing]);
  });
});

describe('what the families have of their own', () => {
  const biased = (values: ConfigValues) => {
    const names = tensors(build(values).program).filter((name) => name.startsWith('model.layers.0.'));
    return names.filter((name) => name.endsWith('.bias')).map((name) => name.split('.').at(-2));
  };

  it('which layers have biases', () => {
    const [qkv, output] = [['q_proj', 'k_proj', 'v_proj'], ['o_proj']];
    expect(biased({ model_type: 'seed_oss' })).toEqual(qkv);
    expect(biased({ model_type: 'seed_oss', attention_bias: false, attention_out_bias: true })).toEqual(output);
    expect(biased({ model_type: 'glm' })).toEqual(qkv);
    expect(biased({ model_type: 'stablelm', use_qkv_bias: true, hidden_act: 'silu' })).toEqual([
      'input_layernorm',
      ...qkv,
      'post_attention_layernorm',
    ]);
    expect(biased({ model_type: 'cohere', attention_bias: true })).toEqual([...qkv, ...output]);
    expect(biased({ model_type: 'granite', attention_bias: true })).toEqual([...qkv, ...output]);
    expect(biased({ model_type: 'arcee', mlp_bias: true })).toEqual(['up_proj', 'down_proj']);
    expect(biased({ model_type: 'ernie4_5' })).toEqual([]);
  });

  it('norms of heads with weights of their own', () => {
    const names = (values: ConfigValues) =>
      tensors(build(values).program).filter(
        (name) => name.startsWith('model.layers.1.') && /[qk]_(layer)?norm/.test(name),
      );
    const heads = [0, 1, 2, 3].map((head) => `model.layers.1.self_attn.q_layernorm.norms.${head}.weight`);
    const keys = [0, 1].map((head) => `model.layers.1.self_attn.k_layernorm.norms.${head}.weight`);
    expect(names({ model_type: 'stablelm', qk_layernorm: true })).toEqual([...heads, ...keys]);
    expect(names({ model_type: 'stablelm' })).toEqual([]);
    const { program } = build({ model_type: 'cohere', use_qk_norm: true });
    const rows = program.weights.filter(({ name }) => name === 'model.layers.1.self_attn.q_norm.weight');
    expect(rows.map(({ shape, parts: [part] }) => [shape, part?.shape, part?.take_rows?.first])).toEqual(
      [0, 8, 16, 24].map((first) => [[8], [4, 8], first]),
    );
  });

  it.each([
    ['cohere', 'layer_norm_eps'],
    ['nemotron', 'norm_eps'],
    ['stablelm', 'layer_norm_eps'],
  ])("%s: %s, whatever other families' key beside it says", (model_type, key) => {
    const { ops } = build({ model_type, [key]: 0.25, rms_norm_eps: 0.5 }).program;
    const found = ops.flatMap((op) => (op.op === 'norm' ? op.epsilon : []));
    expect(new Set(found)).toEqual(new Set([0.25]));
  });

  it("has the modules of Python's class", () => {
    expect(build({ model_type: 'cohere', num_hidden_layers: 1 }).text).toBe(`CohereForCausalLM(
  (model): CohereModel(
    (embed_tokens): Embedding(50, 32)
    (layers): ModuleList(
      (0): CohereDecoderLayer(
        (self_attn): CohereAttention(
          (q_proj): Linear(in_features=32, out_features=32, bias=False)
          (k_proj): Linear(in_features=32, out_features=16, bias=False)
          (v_proj): Linear(in_features=32, out_features=16, bias=False)
          (o_proj): Linear(in_features=32, out_features=32, bias=False)
        )
        (mlp): CohereMLP(
          (gate_proj): Linear(in_features=32, out_features=40, bias=False)
          (up_proj): Linear(in_features=32, out_features=40, bias=False)
          (down_proj): Linear(in_features=40, out_features=32, bias=False)
          (act_fn): SiLUActivation()
        )
        (input_layernorm): CohereLayerNorm((32,), eps=1e-05)
      )
    )
    (norm): CohereLayerNorm((32,), eps=1e-05)
    (rotary_emb): CohereRotaryEmbedding()
  )
  (lm_head): Linear(in_features=32, out_features=50, bias=False)
)`);
  });

  it.each([
    [{ model_type: 'olmo', clip_qkv: 8 }, 'clip_qkv'],
    [{ model_type: 'olmoe', clip_qkv: 8 }, 'clip_qkv'],
    [{ model_type: 'cohere', layer_norm_eps: 'small' }, 'layer_norm_eps'],
    [{ model_type: 'nemotron', norm_eps: 2 }, 'norm_eps'],
    [{ model_type: 'granite', logits_scaling: 0 }, 'logits_scaling'],
    [{ model_type: 'granitemoe', num_local_experts: 2, num_experts_per_tok: 3 }, 'num_experts_per_tok'],
    [{ model_type: 'hunyuan_v1_dense', rope_scaling: { type: 'dynamic', alpha: 'x', factor: 1 } }, 'alpha'],
    [{ model_type: 'stablelm', qk_layernorm: 1 }, 'qk_layernorm'],
    [{ model_type: 'granitemoehybrid', num_local_experts: 0 }, 'layer_types'],
    [
      {
        model_type: 'granitemoehybrid',
        num_local_experts: 0,
        layer_types: ['attention', 'mamba', 'attention', 'attention'],
      },
      'layer_types',
    ],
    [{ model_type: 'granitemoehybrid', layer_types: Array(4).fill('attention') }, 'num_experts'],
    [{ model_type: 'glm4', rope_scaling: { type: 'ntk' } }, 'ntk'],
  ])('%j names its key', (values, key) => {
    const error = failure(() => build(values));
    expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining(`'${key}'`)]);
  });
});
