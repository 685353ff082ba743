import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import {
  AutoModelForCausalLM,
  AutoModelForMaskedLM,
  AutoModelForSeq2SeqLM,
  type CausalLanguageModel,
  ops,
  visualize,
} from '../../../ts';
import { nativeAddon } from '../../../ts/binding/load';
import { numberText } from '../../../ts/visualize/number_text';
import { weightStatistics } from '../../../ts/visualize/weight_statistics';
import { rejection } from '../failure';
import { elementsOf, parseXml, textOf } from './xml';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const llama = join(models, 'llama-chat');
const down = 'model.layers.0.mlp.down_proj.weight';

/** A tensor of a checkpoint of one file, row-major. */
async function stored(folder: string, tensor: string): Promise<{ values: Float32Array; shape: readonly number[] }> {
  const checkpoint = await nativeAddon().openCheckpoint([join(folder, 'model.safetensors')]);
  try {
    const { shape } = checkpoint.tensors.find(({ name }) => name === tensor) ?? { shape: [] };
    return { shape, values: checkpoint.readRows(tensor, 0, shape.length === 1 ? 1 : (shape[0] ?? 0)) };
  } finally {
    checkpoint.dispose();
  }
}

/** The statistics written out, number by number. */
function expectStatistics(found: visualize.WeightSummary | undefined, values: Float32Array): void {
  const numbers = [...values];
  const absmax = Math.max(...numbers.map(Math.abs));
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  expect([found?.count, found?.absmax]).toEqual([numbers.length, absmax]);
  expect(found?.mean).toBeCloseTo(mean, 12);
  expect(found?.standardDeviation).toBeCloseTo(Math.sqrt(variance), 12);
  const counts = Array<number>(64).fill(0);
  for (const value of numbers) {
    const part = Math.min(63, Math.floor(((value + absmax) / (2 * absmax)) * 64));
    counts[part] = (counts[part] ?? 0) + 1;
  }
  expect(found?.histogram).toEqual({ limit: absmax, counts });
}

describe('the numbers of float models', () => {
  let model: CausalLanguageModel;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.from_pretrained(llama);
  });
  afterAll(() => model.dispose());

  it('statistics, histogram, and the largest magnitudes by place', async () => {
    const { data } = await visualize.weights(model, [down, 'model.norm']);
    expect(data.weights.map(({ name, shape, dtype, form }) => [name, shape, dtype, form])).toEqual([
      [down, [32, 48], 'BF16', 'bfloat16'],
      ['model.norm.weight', [32], 'BF16', 'float32'],
    ]);
    const [matrix, vector] = data.weights;
    const expected = await stored(llama, down);
    expectStatistics(matrix, expected.values);
    // Small enough to have a block for every number.
    const magnitudes = { rows: 32, columns: 48, rowStep: 1, columnStep: 1, values: expected.values.map(Math.abs) };
    expect(matrix?.magnitudes).toEqual(magnitudes);
    const norm = await stored(llama, 'model.norm.weight');
    expectStatistics(vector, norm.values);
    expect(vector?.magnitudes).toEqual({
      rows: 1,
      columns: 32,
      rowStep: 1,
      columnStep: 1,
      values: norm.values.map(Math.abs),
    });
  });

  it('all by default, tied ones under both names', async () => {
    const { data } = await visualize.weights(model);
    const names = data.weights.map(({ name }) => name);
    expect([names.length, names[0], names.at(-1)]).toEqual([21, 'model.embed_tokens.weight', 'lm_head.weight']);
    expect({ ...data.weights.at(-1), name: '' }).toEqual({ ...data.weights[0], name: '' });
  });

  it.each<[string | string[], string[]]>([
    ['*.norm.weight', ['model.norm.weight']],
    ['model.layers.?.mlp.up*', ['model.layers.0.mlp.up_proj.weight', 'model.layers.1.mlp.up_proj.weight']],
    [
      [`*1*norm*`, 'model.norm.weight', '*norm.weight'].slice(0, 2),
      ['model.layers.1.input_layernorm.weight', 'model.layers.1.post_attention_layernorm.weight', 'model.norm.weight'],
    ],
    [
      ['lm_head', 'model.layers.0.self_attn.k_proj', 'lm_head.weight'],
      ['model.layers.0.self_attn.k_proj.weight', 'lm_head.weight'],
    ],
  ])('%j are found', async (names, expected) => {
    const { data } = await visualize.weights(model, names);
    expect(data.weights.map(({ name }) => name)).toEqual(expected);
  });

  it('pictures: a histogram whose bars are as high as the logarithms, a cell a number', async () => {
    const { svg, ansi, data } = await visualize.weights(model, down);
    const [weight] = data.weights;
    const group = elementsOf(parseXml(svg), 'g').find((one) => textOf(one).startsWith(down));
    const bars = elementsOf(group as never, 'rect').filter(({ attributes }) => attributes.class === 'bar');
    const counts = weight?.histogram.counts ?? [];
    const filled = counts.filter((count) => count > 0);
    expect(bars).toHaveLength(filled.length);
    const most = Math.log1p(Math.max(...counts));
    const heights = bars.map(({ attributes }) => Number(attributes.height));
    for (const [index, count] of filled.entries())
      expect(heights[index]).toBeCloseTo((72 * Math.log1p(count)) / most, 1);
    expect(textOf(group as never)).toContain(`32 x 48  bfloat16 (stored: BF16)  mean ${numberText(weight?.mean ?? 0)}`);
    const [, line] = stripVTControlCharacters(ansi).split('\n');
    expect(line).toMatch(
      /^model\.layers\.0\.mlp\.down_proj\.weight +32 x 48 +bfloat16 +0\.6016 +-0\.004585 +0\.1835 +[\u2581-\u2588 ]+$/,
    );
  });

  it('tells how far it is, and ends with ABORTED', async () => {
    const seen: number[][] = [];
    await visualize.weights(model, 'model.layers.1.self_attn', {
      onProgress: ({ parameters, total }) => seen.push([parameters, total]),
    });
    expect(seen).toEqual([
      [1, 4],
      [2, 4],
      [3, 4],
      [4, 4],
    ]);
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const error = await rejection(visualize.weights(model, '*', { signal: controller.signal, onProgress }));
    expect(error.code).toBe('ABORTED');
  });

  it.each<[unknown, object, string, string]>([
    ['model.layers.0.mlp.down_prj', {}, 'NOT_FOUND', "did you mean 'model.layers.0.mlp.down_proj'?"],
    ['*.nothing', {}, 'NOT_FOUND', "there are 21, from 'model.embed_tokens.weight' on"],
    [[], {}, 'INVALID_ARGUMENT', 'names'],
    [5, {}, 'INVALID_ARGUMENT', 'not 5'],
    ['*', { onProgres: () => {} }, 'UNKNOWN_OPTION', 'onProgress'],
  ])('%j is refused', async (names, options, code, part) => {
    const error = await rejection(visualize.weights(model, names as string, options));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });

  it('a model that is gone', async () => {
    const gone = await AutoModelForCausalLM.from_pretrained(llama);
    await gone.dispose();
    expect((await rejection(visualize.weights(gone))).code).toBe('DISPOSED');
  });
});

describe('numbers as they are kept', () => {
  it('int8 matrices are what they stand for', async () => {
    await using model = await AutoModelForCausalLM.from_pretrained(llama, { quantization: 'llm.int8' });
    const { data } = await visualize.weights(model, down);
    expect([data.weights[0]?.form, data.weights[0]?.dtype]).toEqual(['int8', 'BF16']);
    const { values } = await stored(llama, down);
    expectStatistics(
      data.weights[0],
      ops.dequantize(ops.quantize(values, { rows: 32, cols: 48, scheme: 'vector-wise' })),
    );
  });

  it('matrices that the checkpoint has the other way round have output features as rows', async () => {
    const folder = join(models, 'gpt2');
    await using model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: 'float32' });
    const { data } = await visualize.weights(model, '*h.0.mlp.c_fc.weight');
    const { values, shape } = await stored(folder, 'h.0.mlp.c_fc.weight');
    const [inputs = 0, outputs = 0] = shape;
    expect(data.weights[0]?.shape).toEqual([outputs, inputs]);
    const { magnitudes } = data.weights[0] as visualize.WeightSummary;
    const { columns, rowStep, columnStep } = magnitudes;
    const expected = new Float32Array(magnitudes.values.length);
    for (const [place, value] of values.entries()) {
      const [input, output] = [Math.floor(place / outputs), place % outputs];
      const block = Math.floor(output / rowStep) * columns + Math.floor(input / columnStep);
      expected[block] = Math.max(expected[block] ?? 0, Math.abs(value));
    }
    expect(magnitudes.values).toEqual(expected);
  });

  it('every parameter of an encoder, an encoder-decoder, experts, and rows in another order', async () => {
    for (const [name, auto] of [
      ['bert-mlm', AutoModelForMaskedLM],
      ['t5', AutoModelForSeq2SeqLM],
      ['mixtral', AutoModelForCausalLM],
      ['bloom', AutoModelForCausalLM],
      ['phi3', AutoModelForCausalLM],
    ] as const) {
      await using model = await auto.from_pretrained(join(models, name), { dtype: 'float32' });
      const { data, svg } = await visualize.weights(model);
      parseXml(svg);
      const tensors = new Map(
        model.readParameters().parameters.map(({ tensor, name: parameter }) => [tensor, parameter]),
      );
      const counts = new Map(data.weights.map((weight) => [weight.name, weight.count]));
      const all = [...tensors.values()].reduce((sum, parameter) => sum + (counts.get(parameter) ?? 0), 0);
      expect([name, all]).toEqual([name, model.parameterCount]);
    }
  });
});

describe('statistics of numbers that come in pieces', () => {
  /** 200 rows of 130: blocks of 4 rows and 3 columns. */
  const values = Float32Array.from({ length: 200 * 130 }, (_, index) => Math.sin(index) * (index % 97));
  const pieces = (size: number) =>
    async function* () {
      for (let first = 0; first < values.length; first += size) yield values.subarray(first, first + size);
    };

  it('do not depend on the pieces, and blocks are those of the matrix', async () => {
    const whole = await weightStatistics([200, 130], pieces(values.length));
    const { magnitudes } = whole;
    expect([magnitudes.rows, magnitudes.columns, magnitudes.rowStep, magnitudes.columnStep]).toEqual([50, 44, 4, 3]);
    const expected = new Float32Array(50 * 44);
    for (const [place, value] of values.entries()) {
      const block = Math.floor(Math.floor(place / 130) / 4) * 44 + Math.floor((place % 130) / 3);
      expected[block] = Math.max(expected[block] ?? 0, Math.abs(value));
    }
    expect(magnitudes.values).toEqual(expected);
    for (const size of [130, 7 * 130, 101]) expect(await weightStatistics([200, 130], pieces(size))).toEqual(whole);
  });

  it('zeros have no range', async () => {
    const found = await weightStatistics([4], async function* () {
      yield new Float32Array(4);
    });
    expect(found).toMatchObject({ absmax: 0, mean: 0, standardDeviation: 0 });
    expect(found.histogram.counts[32]).toBe(4);
  });
});
