import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM, AutoModelForMaskedLM, type CausalLanguageModel, ops } from '../../../ts';
import { nativeAddon } from '../../../ts/binding/load';
import { rejection } from '../failure';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const llama = join(models, 'llama-chat');

/** Relative and largest error of every matrix of a file under a mapping of `ops`, with a scale a row or for `group` columns of it. */
async function errorsOf(folder: string, scheme: 'vector-wise' | 'vector-wise-zeropoint', group?: number) {
  const checkpoint = await nativeAddon().openCheckpoint([join(folder, 'model.safetensors')]);
  try {
    return new Map(
      checkpoint.tensors
        .filter(({ shape }) => shape.length === 2)
        .map(({ name, shape: [rows = 0, cols = 0] }) => {
          const stored = checkpoint.readRows(name, 0, rows);
          const columns = group ?? cols; // of which all rows have a whole number
          const back = ops.dequantize(ops.quantize(stored, { rows: stored.length / columns, cols: columns, scheme }));
          let [error, norm, largest] = [0, 0, 0];
          for (const [index, value] of stored.entries()) {
            const difference = (back[index] ?? 0) - value;
            error += difference ** 2;
            norm += value ** 2;
            largest = Math.max(largest, Math.abs(difference));
          }
          return [name, { relative: Math.sqrt(error / norm), largest, shape: [rows, cols] }] as const;
        }),
    );
  } finally {
    checkpoint.dispose();
  }
}

describe('errors against the float weights', () => {
  it.each([
    ['llm.int8', 'vector-wise', undefined],
    ['vector-wise-zeropoint', 'vector-wise-zeropoint', undefined],
    [{ scheme: 'int8-weight-only', groupSize: 8 }, 'vector-wise', 8],
  ] as const)('%j: what the reference gives, matrix by matrix', async (quantization, scheme, group) => {
    await using model = await AutoModelForCausalLM.from_pretrained(llama, { quantization });
    const { modules } = await model.quantizationReport();
    const int8 = modules.filter(({ form }) => form === 'int8');
    expect(int8.map(({ module }) => module)).toEqual(
      expect.arrayContaining(['model.layers.0.self_attn.k_proj', 'model.layers.1.mlp.down_proj']),
    );
    const expected = await errorsOf(llama, scheme, group);
    for (const { module, error, shape } of int8) {
      const reference = expected.get(`${module}.weight`);
      // Sums in double precision over float32 numbers, in the same order.
      expect(error?.relative).toBeCloseTo(reference?.relative ?? Number.NaN, 10);
      expect(error?.largest).toBeCloseTo(reference?.largest ?? Number.NaN, 10);
      expect(shape).toEqual(reference?.shape);
    }
  });

  it('a matrix that is turned, and rows in another order', async () => {
    for (const [name, tensor] of [
      ['gpt2', 'h.0.mlp.c_fc'],
      ['bloom', 'h.0.self_attention.query_key_value'],
    ] as const) {
      await using model = await AutoModelForCausalLM.from_pretrained(join(models, name), { quantization: 'llm.int8' });
      const { modules } = await model.quantizationReport();
      const found = modules.find(({ module }) => module.endsWith(tensor));
      // Rows of normally distributed numbers with 127 steps up to some 3 to 4 times their size: half a step's 1/sqrt(3).
      expect(found?.error?.relative).toBeGreaterThan(2e-3);
      expect(found?.error?.relative).toBeLessThan(2e-2);
    }
  });

  it('bytes add up, and floats have no error', async () => {
    await using model = await AutoModelForCausalLM.from_pretrained(llama, {
      quantization: { scheme: 'int8', embeddings: false },
    });
    const report = await model.quantizationReport();
    expect(report.bytes).toBe(model.memoryFootprint().weights);
    expect(report.float32Bytes).toBe(4 * model.parameterCount);
    const head = report.modules.find(({ module }) => module === 'lm_head');
    expect(head).toMatchObject({ form: 'bfloat16', error: null, outliers: null });
    const up = report.modules.find(({ module }) => module === 'model.layers.0.mlp.up_proj');
    expect(up?.scheme).toBe(
      'int8 weights with one absmax scale for each output feature; int8 inputs with one scale and zero point for each token; ' +
        'inputs of magnitude 6 root mean squares of their token and above in 16 bits, those entries alone',
    );
  });

  it('groups of inputs are told of, and their scales take four bytes each', async () => {
    const bytes = async (groupSize: number) => {
      const quantization = { scheme: 'int8-weight-only', groupSize } as const;
      await using model = await AutoModelForCausalLM.from_pretrained(llama, { quantization, isa: 'scalar' });
      const { modules } = await model.quantizationReport();
      const down = modules.find(({ module }) => module === 'model.layers.0.mlp.down_proj');
      return { scheme: down?.scheme, bytes: down?.bytes ?? 0, shape: down?.shape ?? [] };
    };
    const [rows, groups] = [await bytes(0), await bytes(4)];
    expect(rows.scheme).toBe('int8 weights with one absmax scale for each output feature; inputs stay float32');
    expect(groups.scheme).toBe(
      'int8 weights with one absmax scale for every 4 inputs of each output feature; inputs stay float32',
    );
    const [outputs = 0, inputs = 0] = groups.shape;
    expect(groups.bytes - rows.bytes).toBe(4 * outputs * (inputs / 4 - 1)); // outputs are whole panels of 8
  });

  it('a checkpoint that has int8 numbers only, and encoders', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'octoformer-report-'));
    try {
      await using encoder = await AutoModelForMaskedLM.from_pretrained(join(models, 'bert-mlm'), {
        quantization: 'llm.int8',
      });
      const { modules } = await encoder.quantizationReport();
      expect(modules.filter(({ error }) => error !== null).length).toBe(
        modules.filter(({ form }) => form === 'int8').length,
      );
      await encoder.save_pretrained(join(folder, 'bert'));
      await using stored = await AutoModelForMaskedLM.from_pretrained(join(folder, 'bert'));
      const report = await stored.quantizationReport();
      expect(report.modules.some(({ form }) => form === 'int8')).toBe(true);
      expect(report.modules.every(({ error }) => error === null)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

it('counts what is multiplied in float where it is asked to', async () => {
  await using model = await AutoModelForCausalLM.from_pretrained(llama, {
    quantization: { scheme: 'llm.int8', threshold: 1, countOutliers: true },
  });
  const share = async () => {
    const { modules } = await model.quantizationReport();
    return modules.find(({ module }) => module === 'model.layers.0.self_attn.q_proj')?.outliers;
  };
  expect(await share()).toBeNull();
  const ids = [1, 5, 9, 4];
  const { hidden_states } = await model.forward({ input_ids: [ids], output_hidden_states: true });
  expect(hidden_states).toBeDefined();
  const counted = await share();
  expect(counted).toMatchObject({ counted: 'runs', largest: null });
  // Normalized activations are near normally distributed: a third of them lies beyond 1, give or take the norm's weights.
  expect(counted?.share).toBeGreaterThan(0.1);
  expect(counted?.share).toBeLessThan(0.6);
  await model.forward({ input_ids: [ids, ids] });
  expect((await share())?.share).toBe(counted?.share); // the same tokens again
});

describe('what can fail', () => {
  const withModel = async (use: (model: CausalLanguageModel, folder: string) => Promise<void>) => {
    const folder = mkdtempSync(join(tmpdir(), 'octoformer-report-'));
    try {
      cpSync(llama, folder, { recursive: true });
      await using model = await AutoModelForCausalLM.from_pretrained(folder, { quantization: 'llm.int8' });
      await use(model, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  it('a checkpoint that has gone', () =>
    withModel(async (model, folder) => {
      rmSync(folder, { recursive: true });
      const error = await rejection(model.quantizationReport());
      expect([error.code, error.message]).toEqual(['NOT_FOUND', expect.stringContaining(folder)]);
    }));

  it('an abort, a wrong option, a model that is disposed of', () =>
    withModel(async (model) => {
      const controller = new AbortController();
      const onProgress = () => controller.abort();
      const aborted = await rejection(model.quantizationReport({ signal: controller.signal, onProgress }));
      expect(aborted.code).toBe('ABORTED');
      const wrong = { onProgres: onProgress } as object;
      expect(await rejection(model.quantizationReport(wrong))).toMatchObject({ code: 'UNKNOWN_OPTION' });
      await model.dispose();
      expect(await rejection(model.quantizationReport())).toMatchObject({ code: 'DISPOSED' });
    }));
});
