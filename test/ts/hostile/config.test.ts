import { AutoModelForCausalLM, OctoformerError } from '../../../ts';
import { randomLlama, type StoredTensor, writeCheckpoint } from '../random_checkpoint';

const { config, tensors } = randomLlama();

/** The error that loading gives; anything but an OctoformerError fails the test. */
async function loadError(
  changedConfig: unknown,
  changedTensors: readonly StoredTensor[] = tensors,
): Promise<OctoformerError> {
  const checkpoint = writeCheckpoint(changedConfig, changedTensors);
  try {
    await using _model = await AutoModelForCausalLM.from_pretrained(checkpoint.folder);
  } catch (error) {
    if (OctoformerError.is(error)) return error;
    throw error;
  } finally {
    checkpoint.remove();
  }
  throw new Error('it loaded');
}

test.each([
  ['hidden_size', 0, 'INVALID_CHECKPOINT'],
  ['hidden_size', -48, 'INVALID_CHECKPOINT'],
  ['hidden_size', 48.5, 'INVALID_CHECKPOINT'],
  ['hidden_size', '48', 'INVALID_CHECKPOINT'],
  ['hidden_size', 1e15, 'INVALID_CHECKPOINT'],
  ['hidden_size', 52, 'SHAPE_MISMATCH'],
  ['num_attention_heads', 0, 'INVALID_CHECKPOINT'],
  ['num_attention_heads', 5, 'INVALID_CHECKPOINT'],
  ['num_key_value_heads', 3, 'INVALID_CHECKPOINT'],
  ['num_hidden_layers', 1e9, 'INVALID_CHECKPOINT'],
  ['num_hidden_layers', 3, 'MISSING_WEIGHT'],
  ['vocab_size', 97, 'SHAPE_MISMATCH'],
  ['intermediate_size', 95, 'SHAPE_MISMATCH'],
  ['hidden_act', 'sulu', 'INVALID_CHECKPOINT'],
  ['rms_norm_eps', 'small', 'INVALID_CHECKPOINT'],
  ['rope_theta', -1, 'INVALID_CHECKPOINT'],
  ['rope_scaling', { rope_type: 'spiral' }, 'INVALID_CHECKPOINT'],
  ['rope_scaling', 7, 'INVALID_CHECKPOINT'],
  ['head_dim', 13, 'INVALID_CHECKPOINT'],
  ['model_type', 'lama', 'UNSUPPORTED_ARCHITECTURE'],
  ['model_type', undefined, 'INVALID_CHECKPOINT'],
  ['max_position_embeddings', 0, 'INVALID_CHECKPOINT'],
])('config.json with %s = %j gives %s and names the key', async (key, value, code) => {
  const error = await loadError({ ...config, [key]: value });
  expect([code, error.message]).toEqual([error.code, error.message]); // shows the message where the codes differ
  if (code === 'INVALID_CHECKPOINT') expect(error.message).toContain(key);
});

test.each([
  ['an array', []],
  ['null', null],
  ['a number', 3],
])('config.json that is %s gives INVALID_CHECKPOINT', async (_, value) => {
  const error = await loadError(value);
  expect(error.code).toBe('INVALID_CHECKPOINT');
  expect(error.message).toContain('config.json');
});

test('a missing tensor is named', async () => {
  const name = 'model.layers.1.mlp.down_proj.weight';
  const error = await loadError(
    config,
    tensors.filter((tensor) => tensor.name !== name),
  );
  expect(error.code).toBe('MISSING_WEIGHT');
  expect(error.message).toContain(name);
});

test('a misshapen tensor is named, with both shapes', async () => {
  const name = 'model.layers.0.self_attn.q_proj.weight';
  const error = await loadError(
    config,
    tensors.map((tensor) =>
      tensor.name === name ? { name, shape: [24, 96], data: new Float32Array(48 * 48) } : tensor,
    ),
  );
  expect(error.code).toBe('SHAPE_MISMATCH');
  for (const part of [name, '24', '96', '48', 'model.safetensors']) expect(error.message).toContain(part);
});

test.each(['model.layers.0.mlp.up_proj.weight', 'model.norm.weight', 'model.embed_tokens.weight'])(
  'a NaN or an infinity in %s is refused',
  async (name) => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const poisoned = tensors.map((tensor) => {
        if (tensor.name !== name) return tensor;
        const data = tensor.data.slice();
        data[data.length - 3] = value;
        return { ...tensor, data };
      });
      const error = await loadError(config, poisoned);
      expect(error.code).toBe('INVALID_CHECKPOINT');
      expect(error.message).toContain(name);
      expect(error.message).toContain('model.safetensors');
    }
  },
);
