import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM } from '../../../ts';
import { nativeAddon } from '../../../ts/binding/load';
import { rejection } from '../failure';
import { type GgufTensor, ggufBytes } from '../gguf_file';
import { randomLlama, randomNumbers, type StoredTensor, writeCheckpoint } from '../random_checkpoint';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octoformer-types-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const { config, tensors } = randomLlama({ hidden_size: 256, intermediate_size: 512, num_hidden_layers: 1, seed: 5 });
const input_ids = [[3, 17, 8, 40, 2, 9]];

async function logitsOf(source: string) {
  await using model = await AutoModelForCausalLM.from_pretrained(source);
  return (await model.forward({ input_ids })).logits;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Float64Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** A safetensors folder with all numbers as doubles. */
function writeDoubles(change: (tensor: StoredTensor, doubles: Float64Array) => void = () => {}): string {
  const header: Record<string, unknown> = {};
  const bodies: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of tensors) {
    const doubles = Float64Array.from(tensor.data);
    change(tensor, doubles);
    header[tensor.name] = { dtype: 'F64', shape: tensor.shape, data_offsets: [offset, offset + doubles.byteLength] };
    offset += doubles.byteLength;
    bodies.push(bytesOf(doubles));
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([length, text, ...bodies]));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

const wholeNames: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
};
const partNames: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

function ggufName(name: string): string {
  const [, module = ''] = /^model\.layers\.0\.(.+)\.weight$/.exec(name) ?? [];
  return wholeNames[name] ?? `blk.0.${partNames[module]}.weight`;
}

/** The model as a GGUF file, whose tensors `encode` may give another type. Rows of q and k are taken as they lie. */
function writeGguf(
  file: string,
  encode: (tensor: StoredTensor, name: string) => Pick<GgufTensor, 'type' | 'data'>,
): string {
  const metadata = {
    'general.architecture': 'llama',
    'llama.context_length': 128,
    'llama.embedding_length': 256,
    'llama.feed_forward_length': 512,
    'llama.block_count': 1,
    'llama.attention.head_count': 4,
    'llama.attention.head_count_kv': 2,
    'llama.attention.layer_norm_rms_epsilon': 1e-5,
  };
  const path = join(folder, file);
  const encoded = tensors.map((tensor) => {
    const name = ggufName(tensor.name);
    return { name, shape: tensor.shape, ...encode(tensor, name) };
  });
  writeFileSync(path, ggufBytes(metadata, encoded));
  return path;
}

const plain = (tensor: StoredTensor) => ({ type: 0, data: bytesOf(tensor.data) });
const doubled = (tensor: StoredTensor) => ({ type: 28, data: bytesOf(Float64Array.from(tensor.data)) });

it('doubles give the bits of float32, in safetensors and in GGUF', async () => {
  const floats = writeCheckpoint(config, tensors);
  try {
    expect(await logitsOf(writeDoubles())).toEqual(await logitsOf(floats.folder));
  } finally {
    floats.remove();
  }
  expect(await logitsOf(writeGguf('doubles.gguf', doubled))).toEqual(await logitsOf(writeGguf('floats.gguf', plain)));
});

it('a double beyond float32 is refused by the name of its tensor', async () => {
  const source = writeDoubles(({ name }, doubles) => {
    if (name === 'model.layers.0.mlp.up_proj.weight') doubles[7] = 3.5e38;
  });
  const { code, message } = await rejection(AutoModelForCausalLM.from_pretrained(source));
  expect([code, message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining('model.layers.0.mlp.up_proj.weight')]);
  expect(message).toContain('3.5e+38');
});

it.each([
  ['I8', 24, 1],
  ['I32', 26, 4],
  ['I64', 27, 8],
])('%s in a GGUF file is refused by the name of its tensor', async (dtype, type, size) => {
  const source = writeGguf('integers.gguf', (tensor, name) =>
    name === 'blk.0.ffn_up.weight' ? { type, data: new Uint8Array(size * tensor.data.length) } : plain(tensor),
  );
  const { code, message } = await rejection(AutoModelForCausalLM.from_pretrained(source));
  expect([code, message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining(`'blk.0.ffn_up.weight'`)]);
  expect(message).toContain(`holds ${dtype} numbers`);
});

describe.each([
  ['IQ4_NL', 20, 32, 18],
  ['IQ4_XS', 23, 256, 136],
  ['MXFP4', 39, 32, 17],
])('%s', (dtype, type, elements, bytes) => {
  it('gives the bits of the same numbers in float32', async () => {
    const next = randomNumbers(3);
    const packed = writeGguf('packed.gguf', (tensor) => {
      if (tensor.shape.length < 2) return plain(tensor);
      const data = Uint8Array.from({ length: (tensor.data.length / elements) * bytes }, () => 128 * (1 + next()));
      for (let block = 0; block < data.length; block += bytes) {
        data.set(dtype === 'MXFP4' ? [118 + (block % 5)] : [block % 256, 0x18], block); // steps of about 0.002
      }
      return { type, data };
    });
    const checkpoint = await nativeAddon().openCheckpoint([packed]);
    expect(checkpoint.tensors.filter((tensor) => tensor.dtype === dtype)).toHaveLength(8);
    const source = writeGguf('floats.gguf', (tensor, name) => {
      const rows = tensor.shape.length > 1 ? (tensor.shape[0] ?? 0) : 1;
      return { type: 0, data: bytesOf(checkpoint.readRows(name, 0, rows)) };
    });
    const [logits] = await logitsOf(packed);
    expect(logits?.data.every(Number.isFinite)).toBe(true);
    expect(new Set(logits?.data).size).toBeGreaterThan(90);
    expect([logits]).toEqual(await logitsOf(source));
    checkpoint.dispose();
  });
});
