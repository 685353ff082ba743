import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AutoModelForCausalLM,
  AutoModelForMaskedLM,
  AutoModelForSeq2SeqLM,
  AutoTokenizer,
  type CausalLanguageModel,
  calibrate,
  type LoadOptions,
  type Tokenizer,
} from '../../../ts';
import { nativeAddon } from '../../../ts/binding/load';
import { rejection } from '../failure';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const texts = ['Hello, world.', 'A few words more, and numbers: 12345.'];
const notesFile = 'octoformer_quantization.json';

let parent = '';
let folder = '';
let tokenizer: Tokenizer;
beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), 'octoformer-calibrate-'));
  folder = join(parent, 'model');
  cpSync(join(models, 'llama-chat'), folder, { recursive: true });
  tokenizer = await AutoTokenizer.from_pretrained(folder);
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

async function withModel<T>(
  options: LoadOptions,
  use: (model: CausalLanguageModel) => Promise<T>,
  from = folder,
): Promise<T> {
  await using model = await AutoModelForCausalLM.from_pretrained(from, options);
  return await use(model);
}

const logitsOf = async (model: CausalLanguageModel) =>
  (await model.forward({ input_ids: [tokenizer.encode(texts[0] ?? '').input_ids] })).logits[0]?.data;

describe('what is found', () => {
  it('features that are large for enough tokens, counted over all texts', async () => {
    const calibration = await withModel({}, (model) =>
      calibrate(model, tokenizer, texts, { threshold: 1.5, minimumShare: 0.3 }),
    );
    const tokens = texts.reduce((sum, text) => sum + tokenizer.encode(text).input_ids.length, 0);
    expect(calibration).toMatchObject({ texts: 2, tokens, threshold: 1.5, minimumShare: 0.3 });
    const { 'model.layers.0.self_attn.q_proj': q, 'model.layers.0.self_attn.v_proj': v } = calibration.modules;
    expect(q?.outlierFeatures).toEqual(v?.outlierFeatures); // they read the same
    expect(q?.largestInput).toBeGreaterThan(1.5);

    // The first layer's norm, computed from the hidden states that the model gives, is what q_proj reads.
    const counts = await withModel({ dtype: 'float32' }, async (model) => {
      const weight = await normWeight();
      const features = new Map<number, number>();
      let outliers = 0;
      for (const text of texts) {
        const { hidden_states } = await model.forward({
          input_ids: [tokenizer.encode(text).input_ids],
          output_hidden_states: true,
        });
        const state = hidden_states?.[0]?.[0];
        const width = state?.dims[1] ?? 0;
        for (let row = 0; row < (state?.dims[0] ?? 0); row++) {
          const values = state?.data.subarray(row * width, (row + 1) * width) ?? new Float32Array();
          const epsilon = model.config.rms_norm_eps as number;
          const scale = 1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / width + epsilon);
          for (const [feature, value] of values.entries()) {
            if (Math.abs(value * scale * (weight[feature] ?? 0)) < 1.5) continue;
            features.set(feature, (features.get(feature) ?? 0) + 1);
            outliers++;
          }
        }
      }
      return { features, share: outliers / (tokens * weight.length) };
    });
    const expected = [...counts.features].filter(([, count]) => count >= 0.3 * tokens).map(([feature]) => feature);
    expect(expected.length).toBeGreaterThan(0);
    expect(q?.outlierFeatures).toEqual(expected.sort((a, b) => a - b));
    expect(q?.outlierShare).toBeCloseTo(counts.share, 12);
  });

  async function normWeight(): Promise<Float32Array> {
    const checkpoint = await nativeAddon().openCheckpoint([join(folder, 'model.safetensors')]);
    try {
      return checkpoint.readRows('model.layers.0.input_layernorm.weight', 0, 1);
    } finally {
      checkpoint.dispose();
    }
  }

  it('nothing where nothing is large, and the same for any order of the texts', async () => {
    await withModel({}, async (model) => {
      const none = await calibrate(model, tokenizer, texts, { threshold: 1e6, save: false });
      expect(Object.values(none.modules).flatMap(({ outlierFeatures }) => outlierFeatures)).toEqual([]);
      const forth = await calibrate(model, tokenizer, texts, { threshold: 2, save: false });
      const back = await calibrate(model, tokenizer, [...texts].reverse(), { threshold: 2, save: false });
      expect(back).toEqual(forth);
      expect(existsSync(join(folder, notesFile))).toBe(false);
    });
  });

  it('encoders, and models that are int8 already', async () => {
    await using bert = await AutoModelForMaskedLM.from_pretrained(join(models, 'bert-mlm'), {
      quantization: 'llm.int8',
    });
    const small = { encode: () => ({ input_ids: [1, 5, 9, 4] }) } as unknown as Tokenizer;
    const { modules } = await calibrate(bert, small, ['x'], { threshold: 1, save: false });
    expect(Object.keys(modules)).toContain('bert.encoder.layer.0.attention.self.query');
    await using t5 = await AutoModelForSeq2SeqLM.from_pretrained(join(models, 't5'));
    const both = Object.keys((await calibrate(t5, small, ['x'], { threshold: 1, save: false })).modules);
    expect(both).toEqual(
      expect.arrayContaining([expect.stringMatching(/^encoder\./), expect.stringMatching(/^decoder\./)]),
    );
  });
});

describe('what it is for', () => {
  it('is saved beside the weights and taken at the next loading, kept by save_pretrained, told by the report', async () => {
    await withModel({}, (model) => calibrate(model, tokenizer, texts, { threshold: 1.5, minimumShare: 0.3 }));
    const notes = JSON.parse(readFileSync(join(folder, notesFile), 'utf8')) as object;
    expect(notes).toMatchObject({ version: 1, calibration: { threshold: 1.5 } });
    const plain = { scheme: 'vector-wise', outlierFeatures: 'none' } as const;
    const before = await withModel({ quantization: plain }, logitsOf);
    const target = join(parent, 'int8');
    const { after, bytes } = await withModel({ quantization: 'vector-wise' }, async (model) => {
      const { modules } = await model.quantizationReport();
      const q = modules.find(({ module }) => module === 'model.layers.0.self_attn.q_proj');
      expect(q?.outliers?.features.length).toBeGreaterThan(0);
      expect(q?.outliers).toMatchObject({ counted: 'calibration' });
      expect(q?.scheme).toContain('calibrated');
      await model.save_pretrained(target);
      return { after: await logitsOf(model), bytes: model.memoryFootprint().weights };
    });
    expect(after).not.toEqual(before);
    expect(await withModel({ quantization: plain }, async (model) => model.memoryFootprint().weights)).toBeLessThan(
      bytes,
    );
    await withModel({ quantization: 'none' }, logitsOf); // floats have no use for it
    expect(JSON.parse(readFileSync(join(target, notesFile), 'utf8'))).toMatchObject({
      ...notes,
      quantization: { scheme: 'vector-wise' },
    });
    await withModel(
      {},
      async (model) => {
        const { modules } = await model.quantizationReport();
        expect(modules.some(({ scheme }) => scheme.includes('calibrated'))).toBe(true);
      },
      target,
    );
  });

  it('features can be given', async () => {
    const outlierFeatures = { 'model.layers.0.mlp.down_proj': [0, 3] };
    await withModel({ quantization: { scheme: 'llm.int8', outlierFeatures } }, async (model) => {
      const { modules } = await model.quantizationReport();
      expect(modules.filter(({ scheme }) => scheme.includes('2 calibrated')).map(({ module }) => module)).toEqual([
        'model.layers.0.mlp.down_proj',
      ]);
    });
  });

  it.each([
    [{ 'model.layers.0.mlp.down_pro': [1] }, 'INVALID_ARGUMENT', 'down_proj'],
    [{ 'model.layers.0.mlp.down_proj': [1, 1] }, 'INVALID_ARGUMENT', 'increasing'],
    [{ 'model.layers.0.mlp.down_proj': [0.5] }, 'INVALID_ARGUMENT', 'increasing'],
    [{ 'model.layers.0.mlp.down_proj': [1000000] }, 'INVALID_ARGUMENT', '1000000'],
    ['all', 'INVALID_ARGUMENT', 'all'],
  ])('wrong features: %j', async (outlierFeatures, code, part) => {
    const quantization = { scheme: 'llm.int8', outlierFeatures } as LoadOptions['quantization'] & object;
    const error = await rejection(AutoModelForCausalLM.from_pretrained(folder, { quantization }));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });
});

describe('what can fail', () => {
  it.each([
    [[], {}, 'INVALID_ARGUMENT', 'texts'],
    ['text', {}, 'INVALID_ARGUMENT', 'texts'],
    [texts, { treshold: 6 }, 'UNKNOWN_OPTION', 'threshold'],
    [texts, { minimumShare: 2 }, 'INVALID_ARGUMENT', 'minimumShare'],
    [texts, { save: 'yes' }, 'INVALID_ARGUMENT', 'save'],
  ])('%j %j', async (given, options, code, part) => {
    await withModel({}, async (model) => {
      const error = await rejection(calibrate(model, tokenizer, given as string[], options as object));
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
      expect(existsSync(join(folder, notesFile))).toBe(false);
    });
  });

  it('an abort leaves no file', async () => {
    await withModel({}, async (model) => {
      const controller = new AbortController();
      const options = { signal: controller.signal, onProgress: () => controller.abort() };
      expect(await rejection(calibrate(model, tokenizer, texts, options))).toMatchObject({ code: 'ABORTED' });
      expect(existsSync(join(folder, notesFile))).toBe(false);
      await calibrate(model, tokenizer, texts); // the observer has gone
    });
  });

  it.each([
    ['{', 'INVALID_CHECKPOINT'],
    ['{"version": 2}', 'INVALID_CHECKPOINT'],
    ['{"version": 1, "calibration": {"modules": {}}}', 'INVALID_CHECKPOINT'],
    ['{"version": 1, "calibrations": {}}', 'UNKNOWN_OPTION'],
    ['{"version": 1, "wideFeatures": {"lm_head": [3, 1]}}', 'INVALID_ARGUMENT'],
    ['{"version": 1, "quantization": {"scheme": "int7"}}', 'UNKNOWN_OPTION'],
    [
      '{"version": 1, "calibration": {"threshold": 6, "minimumShare": 0, "texts": 1, "tokens": 1, "modules": {"x": {"outlierFeatures": [2, 1], "outlierShare": 0, "largestInput": 0}}}}',
      'INVALID_ARGUMENT',
    ],
  ])('a damaged file: %s', async (text, code) => {
    writeFileSync(join(folder, notesFile), text);
    const error = await rejection(AutoModelForCausalLM.from_pretrained(folder, { quantization: 'llm.int8' }));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(notesFile)]);
  });
});
