import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForSequenceClassification, nn, ops } from '../../../ts';
import { failure } from '../failure';
import { compareTensor, failures } from '../goldens/comparison';
import { readSafetensors } from '../safetensors';

const fixture = join(__dirname, '..', '..', 'fixtures', 'models', 'modernbert-mlm', 'config.json');
const config = {
  ...(JSON.parse(readFileSync(fixture, 'utf8')) as { hidden_size: number; norm_eps: number }),
  architectures: ['ModernBertForSequenceClassification'],
  classifier_activation: 'tanh',
  classifier_pooling: 'mean',
  id2label: { 0: 'no', 1: 'yes', 2: 'perhaps' },
};

it('a label is read from the mean of all tokens where classifier_pooling says so, as in Python', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-modernbert-'));
  try {
    await nn.init(config, folder, { seed: 3 });
    const tensors = readSafetensors(join(folder, 'model.safetensors'));
    const weight = (name: string) => tensors.get(name)?.data ?? new Float32Array();
    await using model = await AutoModelForSequenceClassification.from_pretrained(folder);
    const input_ids = [[1, 9, 30, 4, 55, 17, 8, 61, 2], [1, 12, 2], [5]];
    const { logits, last_hidden_state, attentions } = await model.forward({ input_ids, output_attentions: true });
    const width = config.hidden_size;
    const product = (a: Float32Array, name: string, n: number) =>
      ops.matmul(a, weight(name), { m: 1, n, k: width, transposeB: true });
    for (const [index, ids] of input_ids.entries()) {
      const hidden = last_hidden_state[index]?.data ?? [];
      const mean = Float32Array.from({ length: width }, (_, column) =>
        ids.reduce((sum, _id, token) => sum + (hidden[token * width + column] ?? 0) / ids.length, 0),
      );
      const dense = product(mean, 'head.dense.weight', width).map(Math.tanh);
      const normed = ops.layerNorm(dense, {
        rows: 1,
        cols: width,
        weight: weight('head.norm.weight'),
        epsilon: config.norm_eps,
      });
      const bias = weight('classifier.bias');
      const expected = product(normed, 'classifier.weight', 3).map((score, label) => score + (bias[label] ?? 0));
      expect(failures([compareTensor('logits', logits[index], { shape: [3], data: expected })])).toEqual([]);
    }
    expect(attentions).toHaveLength(3);
    const padded = [1, 12, 2, 0, 0];
    const masked = await model.forward({ input_ids: [padded], attention_mask: [[1, 1, 1, 0, 0]] });
    expect(masked.logits[0]).toEqual(logits[1]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('any other pooling is refused by name', () => {
  const { code, message } = failure(() => nn.parameters({ ...config, classifier_pooling: 'max' }));
  expect([code, message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining("'classifier_pooling'")]);
});
