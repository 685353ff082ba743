import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Sizes of a Llama-type checkpoint with random weights; what is left out is small. */
export interface RandomCheckpointOptions {
  readonly hidden_size?: number;
  readonly intermediate_size?: number;
  readonly num_hidden_layers?: number;
  readonly num_attention_heads?: number;
  readonly num_key_value_heads?: number;
  readonly vocab_size?: number;
  readonly max_position_embeddings?: number;
  readonly seed?: number;
}

/** A tensor to be stored as F32. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Uniform numbers in [-1, 1) from a seed (xorshift32). */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state / 2 ** 31;
  };
}

/** The bytes of a safetensors file. */
export function safetensorsBytes(tensors: readonly StoredTensor[]): Buffer {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const { name, shape, data } of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const bodies = tensors.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  return Buffer.concat([length, text, ...bodies]);
}

/** The config and the tensors of a Llama-type model with random weights of a sensible size. */
export function randomLlama(options: RandomCheckpointOptions = {}): {
  config: Record<string, unknown>;
  tensors: StoredTensor[];
} {
  const config = {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    hidden_act: 'silu',
    hidden_size: 48,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 96,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    torch_dtype: 'float32',
    bos_token_id: 1,
    eos_token_id: 2,
    ...options,
  };
  const next = randomNumbers(options.seed ?? 1);
  const tensors: StoredTensor[] = [];
  const add = (name: string, shape: readonly number[], center: number, spread: number) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < data.length; i++) data[i] = center + spread * next();
    tensors.push({ name, shape, data });
  };
  const { hidden_size: hidden, intermediate_size: inner } = config;
  const keyValue = (hidden / config.num_attention_heads) * config.num_key_value_heads;
  const linear = (name: string, out: number, inputs: number) => add(name, [out, inputs], 0, Math.sqrt(3 / inputs));
  add('model.embed_tokens.weight', [config.vocab_size, hidden], 0, 1);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const prefix = `model.layers.${layer}`;
    add(`${prefix}.input_layernorm.weight`, [hidden], 1, 0.1);
    linear(`${prefix}.self_attn.q_proj.weight`, hidden, hidden);
    linear(`${prefix}.self_attn.k_proj.weight`, keyValue, hidden);
    linear(`${prefix}.self_attn.v_proj.weight`, keyValue, hidden);
    linear(`${prefix}.self_attn.o_proj.weight`, hidden, hidden);
    add(`${prefix}.post_attention_layernorm.weight`, [hidden], 1, 0.1);
    linear(`${prefix}.mlp.gate_proj.weight`, inner, hidden);
    linear(`${prefix}.mlp.up_proj.weight`, inner, hidden);
    linear(`${prefix}.mlp.down_proj.weight`, hidden, inner);
  }
  add('model.norm.weight', [hidden], 1, 0.1);
  return { config, tensors };
}

/** Writes a checkpoint into a new temporary folder; `remove()` deletes it. */
export function writeCheckpoint(config: unknown, tensors: readonly StoredTensor[]): { folder: string; remove(): void } {
  const folder = mkdtempSync(path.join(tmpdir(), 'octoformer-test-'));
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(path.join(folder, 'model.safetensors'), safetensorsBytes(tensors));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** `writeCheckpoint` of `randomLlama`. */
export function randomCheckpoint(options: RandomCheckpointOptions = {}): { folder: string; remove(): void } {
  const { config, tensors } = randomLlama(options);
  return writeCheckpoint(config, tensors);
}
