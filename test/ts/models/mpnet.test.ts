import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModel, nn } from '../../../ts';
import { failure } from '../failure';
import { failures, sameBits } from '../goldens/comparison';
import { safetensorsBytes } from '../random_checkpoint';
import { readSafetensors } from '../safetensors';
import { fixtureFolder } from './fixture_folder';

const fixture = fixtureFolder('mpnet');
const config = JSON.parse(readFileSync(join(fixture, 'config.json'), 'utf8')) as Record<string, unknown>;
const table = 'encoder.relative_attention_bias.weight';

it('of a longer table of buckets the first 32 are counted, as in Python', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-mpnet-'));
  try {
    const stored = [...readSafetensors(join(fixture, 'model.safetensors'))].map(([name, tensor]) => {
      if (name !== table) return { name, ...tensor };
      const [rows = 0, heads = 0] = tensor.shape;
      const more = new Float32Array(5 * heads).fill(9);
      return { name, shape: [rows + 5, heads], data: Float32Array.from([...tensor.data, ...more]) };
    });
    writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(stored));
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, relative_attention_num_buckets: 37 }));
    const input_ids = [Array.from({ length: 18 }, (_, place) => 4 + ((place * 7) % 26))];
    await using reference = await AutoModel.from_pretrained(fixture);
    await using model = await AutoModel.from_pretrained(folder);
    const [expected, actual] = [await reference.forward({ input_ids }), await model.forward({ input_ids })];
    const comparison = sameBits('hidden', actual.last_hidden_state[0]?.data, expected.last_hidden_state[0]?.data);
    expect(failures([comparison])).toEqual([]);
    const saved = join(folder, 'saved');
    await model.save_pretrained(saved);
    expect(readSafetensors(join(saved, 'model.safetensors')).get(table)?.data).toEqual(
      readSafetensors(join(folder, 'model.safetensors')).get(table)?.data,
    );
    expect(model.module('encoder.relative_attention_bias').parameters[0]?.shape[0]).toBe(37);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('a shorter one is refused by name', () => {
  const { code, message } = failure(() => nn.parameters({ ...config, relative_attention_num_buckets: 16 }));
  expect([code, message]).toEqual([
    'INVALID_CHECKPOINT',
    expect.stringContaining("'relative_attention_num_buckets' must be an integer from 32"),
  ]);
});
