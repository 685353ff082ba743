import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  type LoadOptions,
  nn,
} from '../../../ts';
import { rejection } from '../failure';
import { readSafetensors } from '../safetensors';

const fixture = join(__dirname, '..', '..', 'fixtures', 'models', 'bart', 'config.json');
const config = {
  ...(JSON.parse(readFileSync(fixture, 'utf8')) as Record<string, unknown>),
  id2label: { 0: 'no', 1: 'perhaps', 2: 'yes' },
};
const eos = 2;
const input_ids = [
  [5, 9, 30, eos, 7, eos],
  [11, eos],
];

async function withModel<T extends AsyncDisposable>(
  architecture: string,
  auto: { from_pretrained(source: string, options?: LoadOptions): Promise<T> },
  use: (model: T, weight: (name: string) => Float32Array) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-heads-'));
  try {
    await nn.init({ ...config, architectures: [architecture] }, folder, { seed: 4 });
    await using model = await auto.from_pretrained(folder);
    const tensors = readSafetensors(join(folder, 'model.safetensors'));
    await use(model, (name) => tensors.get(name)?.data ?? new Float32Array());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** W x + b in double. */
function affine(weight: Float32Array, bias: Float32Array, x: ArrayLike<number>): number[] {
  return [...bias].map((shift, row) => {
    let sum = shift;
    for (let k = 0; k < x.length; k++) sum += (weight[row * x.length + k] ?? 0) * (x[k] ?? 0);
    return sum;
  });
}

// The sums have a dozen terms below 4: their float32 roundings stay below 1e-5.
it("BART labels a text by the decoder's state at its last end-of-sequence id", async () => {
  await withModel('BartForSequenceClassification', AutoModelForSequenceClassification, async (model, weight) => {
    const head = (name: string) =>
      [weight(`classification_head.${name}.weight`), weight(`classification_head.${name}.bias`)] as const;
    const { logits, last_hidden_state } = await model.forward({ input_ids });
    for (const [index, ids] of input_ids.entries()) {
      const { data, dims } = last_hidden_state[index] ?? { data: new Float32Array(), dims: [0, 0] };
      expect(dims).toEqual([ids.length, 12]);
      const state = data.subarray((ids.length - 1) * 12, ids.length * 12);
      const dense = affine(...head('dense'), state).map(Math.tanh);
      const expected = affine(...head('out_proj'), dense);
      expect(logits[index]?.dims).toEqual([3]);
      for (const [label, value] of expected.entries()) expect(logits[index]?.data[label]).toBeCloseTo(value, 4);
    }
    expect(model.maxTokens).toBe(24); // the table of positions has two rows more
    const error = await rejection(model.forward({ input_ids: [[5, 6]] }));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('input_ids[0]')]);
  });
});

it('BART finds the answer to a question', async () => {
  await withModel('BartForQuestionAnswering', AutoModelForQuestionAnswering, async (model, weight) => {
    const { start_logits, end_logits, last_hidden_state } = await model.forward({ input_ids });
    for (const [index, ids] of input_ids.entries()) {
      const data = last_hidden_state[index]?.data ?? new Float32Array();
      for (const place of ids.keys()) {
        const state = data.subarray(place * 12, (place + 1) * 12);
        const [start = 0, end = 0] = affine(weight('qa_outputs.weight'), weight('qa_outputs.bias'), state);
        expect(start_logits[index]?.data[place]).toBeCloseTo(start, 4);
        expect(end_logits[index]?.data[place]).toBeCloseTo(end, 4);
      }
      expect(end_logits[index]?.dims).toEqual([ids.length]);
    }
  });
});

it('BART has no labels for tokens', async () => {
  const folder = join(__dirname, '..', '..', 'fixtures', 'models', 'bart');
  expect((await rejection(AutoModelForTokenClassification.from_pretrained(folder))).code).toBe(
    'UNSUPPORTED_ARCHITECTURE',
  );
});
