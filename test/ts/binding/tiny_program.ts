import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nativeAddon } from '../../../ts/binding/load';
import type { NativeModel, NativeRunRequest, NativeSamplerOptions } from '../../../ts/binding/native';
import type { Op, Program, WeightDescription } from '../../../ts/graph/program';
import type { Value } from '../../../ts/graph/value';
import { randomNumbers, type StoredTensor, safetensorsBytes } from '../random_checkpoint';

export const addon = nativeAddon();
/** Of the test that imports this; removed when it ends. */
export const folder = mkdtempSync(path.join(tmpdir(), 'octoformer-native-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

export const vocabulary = 11;
export const width = 6;
export const layers = 3;

function tensor(name: string, shape: readonly number[], next: () => number): StoredTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, shape, data: Float32Array.from({ length: count }, next) };
}

/** Embedding, then layers of x += W attention(x), one head of 6; logits by a last matrix. `size` scales nothing but time. */
export function tinyProgram(vocab = vocabulary, columns = width): { program: Program; tensors: StoredTensor[] } {
  const next = randomNumbers(3);
  const linear = (name: string, rows: number): WeightDescription => ({
    name,
    role: 'linear',
    shape: [rows, columns],
    form: 'auto',
    compute: 'float32',
    parts: [{ tensor: name, shape: [rows, columns] }],
  });
  const whole = (buffer: number, count = columns): Value => ({ buffer, offset: 0, columns: count });
  const weights = [linear('embed', vocab), linear('head', vocab)];
  const ops: Op[] = [{ op: 'embedding', index: 'input_ids', table: 0, out: whole(0) }];
  for (let layer = 0; layer < layers; layer++) {
    weights.push(linear(`layer${layer}`, columns));
    ops.push(
      {
        op: 'attention',
        query: whole(0),
        key: whole(0),
        value: whole(0),
        out: whole(1),
        layer,
        heads: 1,
        scale: 1 / columns,
        pattern: { kind: 'causal' },
        probabilities: `attentions.${layer}`,
      },
      { op: 'linear', input: whole(1), weight: 2 + layer, residual: whole(0), out: whole(0) },
      { op: 'output', name: `hidden_states.${layer + 1}`, input: whole(0) },
    );
  }
  ops.push(
    { op: 'gather_rows', input: whole(0), out: whole(2) },
    { op: 'linear', input: whole(2), weight: 1, out: whole(3, vocab) },
    { op: 'output', name: 'logits', input: whole(3, vocab) },
  );
  const program: Program = {
    version: 1,
    weights,
    buffers: [
      { rows: 'tokens', columns },
      { rows: 'tokens', columns },
      { rows: 'rows', columns },
      { rows: 'rows', columns: vocab },
    ],
    cache_layers: Array.from({ length: layers }, () => ({ kv_heads: 1, head_dim: columns })),
    ops,
  };
  return { program, tensors: weights.map(({ name, shape }) => tensor(name, shape, next)) };
}

export const tiny = tinyProgram();
export const file = path.join(folder, 'tiny.safetensors');
writeFileSync(file, safetensorsBytes(tiny.tensors));

/** The tiny model. */
export async function load(threads = 1): Promise<NativeModel> {
  const checkpoint = await addon.openCheckpoint([file]);
  try {
    return await addon.loadModel(checkpoint, JSON.stringify(tiny.program), { threads, isa: '' }, null, null);
  } finally {
    checkpoint.dispose();
  }
}

/** A run of sequences without caches that asks for the logits of every token. */
export function request(
  sequences: readonly (readonly number[])[],
  more: Partial<NativeRunRequest> = {},
): NativeRunRequest {
  const ids = sequences.flat();
  return {
    input_ids: Int32Array.from(ids),
    lengths: Int32Array.from(sequences, (sequence) => sequence.length),
    caches: sequences.map(() => null),
    rows: Int32Array.from(ids, (_, i) => i),
    outputs: ['logits'],
    ...more,
  };
}

/** What `work` fails with; its promise or its throw. */
export async function failure(work: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await work();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
  throw new Error('nothing failed');
}

export const greedy: NativeSamplerOptions = {
  do_sample: false,
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  repetition_penalty: 1,
  seed: 0n,
  eos_token_ids: new Int32Array(),
  min_new_tokens: 0,
  prompt_ids: new Int32Array(),
};
