import { describeModules, findModule } from '../../../ts/graph/module_tree';
import { attention, embedding, gatedFeedForward, linear, rmsNorm, rotaryEmbedding } from '../../../ts/modules';
import { failure } from '../failure';
import { builderOver, headers } from './tensors';

const shapes = {
  'embed.weight': [11, 6],
  'norm.weight': [6],
  'attn.q_proj.weight': [8, 6],
  'attn.k_proj.weight': [4, 6],
  'attn.v_proj.weight': [4, 6],
  'attn.o_proj.weight': [6, 8],
  'mlp.gate_proj.weight': [10, 6],
  'mlp.up_proj.weight': [10, 6],
  'mlp.down_proj.weight': [6, 10],
  'head.bias': [11],
};

describe('GraphBuilder', () => {
  it('keeps a tied matrix once, for the embedding and the projection', () => {
    const g = builderOver(headers(shapes));
    const x = embedding(g, 'embed', { count: 11, width: 6 });
    linear(g, 'head', x, { outFeatures: 11, bias: true, weight: 'embed.weight' });
    const { weights, ops, buffers } = g.lower();
    expect(weights).toEqual([
      {
        name: 'embed.weight',
        role: 'linear',
        shape: [11, 6],
        form: 'auto',
        compute: 'float32',
        parts: [{ tensor: 'embed.weight', shape: [11, 6] }],
      },
      {
        name: 'head.bias',
        role: 'vector',
        shape: [11],
        form: 'float32',
        compute: 'float32',
        parts: [{ tensor: 'head.bias', shape: [11] }],
      },
    ]);
    expect(ops).toEqual([
      { op: 'embedding', index: 'input_ids', table: 0, out: { buffer: 0, offset: 0, columns: 6 } },
      {
        op: 'linear',
        input: { buffer: 0, offset: 0, columns: 6 },
        weight: 0,
        bias: 1,
        out: { buffer: 1, offset: 0, columns: 11 },
      },
    ]);
    expect(buffers).toEqual([
      { rows: 'tokens', columns: 6 },
      { rows: 'tokens', columns: 11 },
    ]);
  });

  it('stacks q, k and v into one weight whose output is sliced, and rotates q and k together', () => {
    const g = builderOver(headers(shapes));
    const x = embedding(g, 'embed', { count: 11, width: 6 });
    const rope = { rope_type: 'default', rope_theta: 10000, head_dim: 4, max_position_embeddings: 64 } as const;
    const rotary = rotaryEmbedding(g, 'rope', 'Rope', rope);
    attention(g, 'attn', x, { heads: 2, kvHeads: 1, headDim: 4, outFeatures: 6, rotary, window: 5, residual: x });
    const { weights, ops, cache_layers } = g.lower();
    expect(weights[1]).toMatchObject({
      name: 'attn.q_proj+k_proj+v_proj.weight',
      shape: [16, 6],
      parts: [
        { tensor: 'attn.q_proj.weight', shape: [8, 6] },
        { tensor: 'attn.k_proj.weight', shape: [4, 6] },
        { tensor: 'attn.v_proj.weight', shape: [4, 6] },
      ],
    });
    expect(ops.slice(2)).toEqual([
      { op: 'linear', input: x, weight: 1, out: { buffer: 2, offset: 0, columns: 16 } },
      {
        op: 'rope',
        x: { buffer: 2, offset: 0, columns: 12 },
        table: { buffer: 1, offset: 0, columns: 4 },
        heads: 3,
        head_dim: 4,
        pairing: 'half',
      },
      {
        op: 'attention',
        query: { buffer: 2, offset: 0, columns: 8 },
        key: { buffer: 2, offset: 8, columns: 4 },
        value: { buffer: 2, offset: 12, columns: 4 },
        out: { buffer: 3, offset: 0, columns: 8 },
        layer: 0,
        heads: 2,
        scale: 0.5,
        pattern: { kind: 'causal', window: 5 },
        probabilities: 'attentions.0',
      },
      {
        op: 'linear',
        input: { buffer: 3, offset: 0, columns: 8 },
        weight: 2,
        residual: x,
        out: { buffer: 4, offset: 0, columns: 6 },
      },
    ]);
    expect(cache_layers).toEqual([{ kv_heads: 1, head_dim: 4 }]);
    expect(g.outputs.has('attentions.0')).toBe(true);
  });

  it('records the tree as Python prints it, with every projection by itself', () => {
    const g = builderOver(headers(shapes));
    const x = embedding(g, 'embed', { count: 11, width: 6 });
    gatedFeedForward(g, 'mlp', rmsNorm(g, 'norm', x, { epsilon: 1e-6 }), {
      innerFeatures: 10,
      outFeatures: 6,
      activation: 'silu',
    });
    expect(describeModules(g.modules)).toBe(
      [
        'TinyForCausalLM(',
        '  (embed): Embedding(11, 6)',
        '  (norm): RMSNorm((6,), eps=1e-06)',
        '  (mlp): MLP(',
        '    (gate_proj): Linear(in_features=6, out_features=10, bias=False)',
        '    (up_proj): Linear(in_features=6, out_features=10, bias=False)',
        '    (down_proj): Linear(in_features=10, out_features=6, bias=False)',
        '    (act_fn): SiLUActivation()',
        '  )',
        ')',
      ].join('\n'),
    );
    const up = findModule(g.modules, 'mlp.up_proj');
    expect(up?.parameters).toEqual([
      { name: 'weight', tensor: 'mlp.up_proj.weight', shape: [10, 6], dtype: 'F32', weight: 2 },
    ]);
    expect(findModule(g.modules, 'mlp.nothing')).toBeUndefined();
  });

  it('names a missing tensor, its file, and the nearest name', () => {
    const g = builderOver(headers(shapes));
    const error = failure(() => embedding(g, 'embedd', { count: 11, width: 6 }));
    expect(error.code).toBe('MISSING_WEIGHT');
    expect(error.message).toContain("'embedd.weight' of shape [11, 6]");
    expect(error.message).toContain('/models/tiny/model.safetensors');
    expect(error.message).toContain("'embed.weight'");
  });

  it('names a tensor of another shape, its file and both shapes', () => {
    const g = builderOver(headers(shapes));
    const error = failure(() => embedding(g, 'embed', { count: 12, width: 6 }));
    expect(error.code).toBe('SHAPE_MISMATCH');
    for (const part of ["'embed.weight'", '/models/tiny/model.safetensors', '[11, 6]', '[12, 6]']) {
      expect(error.message).toContain(part);
    }
  });

  it('refuses integer tensors as weights, and two outputs of one name', () => {
    const g = builderOver(headers({ 'embed.weight': [11, 6] }, 'I8'));
    expect(failure(() => embedding(g, 'embed', { count: 11, width: 6 })).code).toBe('INVALID_CHECKPOINT');
    g.declareOutput('logits');
    expect(failure(() => g.declareOutput('logits')).message).toContain("'logits'");
  });

  it('asks for a transposed tensor in the shape that the file has', () => {
    const g = builderOver(headers({ 'embed.weight': [11, 6], 'conv.weight': [6, 9] }));
    const x = embedding(g, 'embed', { count: 11, width: 6 });
    linear(g, 'conv', x, { outFeatures: 9, transpose: true });
    expect(g.lower().weights[1]).toMatchObject({
      shape: [9, 6],
      parts: [{ tensor: 'conv.weight', shape: [6, 9], transpose: true }],
    });
  });
});
