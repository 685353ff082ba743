import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForSeq2SeqLM,
  AutoTokenizer,
  type CausalLanguageModel,
  visualize,
} from '../../../ts';
import { colorStep, hexColor } from '../../../ts/visualize/color_scale';
import { rejection } from '../failure';
import { randomLlama, writeCheckpoint } from '../random_checkpoint';
import { tinySeq2Seq } from '../tiny_seq2seq';
import { fakeTokenizer } from './fake_tokenizer';
import { elementsOf, parseXml, textOf } from './xml';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const llama = join(models, 'llama-chat');
const attention = ['q_proj', 'k_proj', 'v_proj'].map((name) => `model.layers.0.self_attn.${name}`);

describe('a checkpoint made for it', () => {
  /**
   * Embeddings of 48 numbers of magnitude 1, but that of token 7 has a zero as feature 5: after the norm its others are sqrt(48 / 47).
   * What the first layer reads are these times the norm's weights.
   */
  function checkpoint() {
    const { config, tensors } = randomLlama({ num_hidden_layers: 1 });
    for (const { name, data } of tensors) {
      if (name === 'model.embed_tokens.weight') {
        for (const [place] of data.entries()) data[place] = place % 3 === 0 ? -1 : 1;
        data[7 * 48 + 5] = 0;
      }
      if (name === 'model.layers.0.input_layernorm.weight') {
        data.fill(1);
        data.set([8], 5);
        data.set([-7], 9);
        data.set([5.99], 20);
      }
    }
    return writeCheckpoint({ ...config, rms_norm_eps: 1e-12 }, tensors);
  }

  it('outliers are those that can be counted by hand', async () => {
    const { folder, remove } = checkpoint();
    try {
      await using model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: 'float32' });
      const tokenizer = fakeTokenizer({ text: [3, 7, 9, 7] });
      const { data, svg, ansi } = await visualize.outliers(model, tokenizer, 'text');
      expect([data.threshold, data.tokens]).toEqual([6, 4]);
      const larger = Math.sqrt(48 / 47);
      const close = (value: number) => expect.closeTo(value, 5);
      for (const path of attention) {
        expect(data.layers.find(({ module }) => module === path)).toEqual({
          module: path,
          rows: 4,
          features: 48,
          outliers: [
            { feature: 5, count: 2, largest: close(8) },
            { feature: 9, count: 4, largest: close(7 * larger) },
            { feature: 20, count: 2, largest: close(5.99 * larger) }, // only where the others are larger, too
          ],
          share: 8 / (4 * 48),
          largest: close(8),
        });
      }
      const [strip] = elementsOf(parseXml(svg), 'g').filter((group) => textOf(group).startsWith(attention[0] ?? ''));
      const width = 512 / 48;
      const rects = elementsOf(strip as never, 'rect').map(({ attributes }) => attributes);
      const x = Number(rects[0]?.x);
      const color = (share: number) => hexColor(colorStep(Math.sqrt(share)));
      expect(rects.slice(1).map((rect) => [Math.round((Number(rect.x) - x) / width), rect.fill])).toEqual([
        [5, color(0.5)],
        [9, color(1)],
        [20, color(0.5)],
      ]);
      expect(textOf(strip as never)).toContain('3 of 48, 4.17 % of entries, largest 8');
      expect(stripVTControlCharacters(ansi)).toMatch(
        /self_attn\.q_proj +48 +3 +4\.17 % +8 +9 \(4, 7\.074\), 5 \(2, 8\), 20 \(2, 6\.053\)\n/,
      );
    } finally {
      remove();
    }
  });
});

describe('models', () => {
  let model: CausalLanguageModel;
  const ids = [1, 5, 9, 4, 11, 3, 8, 20, 15];
  const tokenizer = fakeTokenizer({ text: ids, '': [] });
  beforeAll(async () => {
    model = await AutoModelForCausalLM.from_pretrained(llama, {
      quantization: { scheme: 'llm.int8', threshold: 1.5, outliers: 'token', countOutliers: true },
    });
  });
  afterAll(() => model.dispose());

  it('the share of entries is what LLM.int8() multiplied in float', async () => {
    const { data } = await visualize.outliers(model, tokenizer, 'text', { threshold: 1.5 });
    const { modules } = await model.quantizationReport();
    const counted = modules.filter(({ outliers, module }) => outliers?.counted === 'runs' && module !== 'lm_head');
    expect(counted).toHaveLength(14);
    for (const { module, outliers } of counted) {
      const layer = data.layers.find((one) => one.module === module);
      expect(layer?.share).toBeGreaterThan(0);
      expect(layer?.share).toBeCloseTo(outliers?.share ?? Number.NaN, 12);
    }
  });

  it('long texts are read in windows', async () => {
    const seen: object[] = [];
    const onProgress = (progress: object) => seen.push(progress);
    const { data } = await visualize.outliers(model, tokenizer, 'text', { threshold: 1, window: 4, onProgress });
    expect(seen).toEqual([4, 8, 9].map((tokens) => ({ tokens, total: 9 })));
    const parts: visualize.OutliersData[] = [];
    for (const part of [ids.slice(0, 4), ids.slice(4, 8), ids.slice(8)]) {
      const alone = await visualize.outliers(model, fakeTokenizer({ text: part }), 'text', { threshold: 1 });
      parts.push(alone.data);
    }
    for (const [index, layer] of data.layers.entries()) {
      if (layer.module === 'lm_head') continue; // reads the last token of a window only
      const own = parts.map(({ layers }) => layers[index]);
      expect(layer.rows).toBe(9);
      expect(layer.largest).toBe(Math.max(...own.map((one) => one?.largest ?? 0)));
      const entries = own.reduce((sum, one) => sum + (one?.share ?? 0) * (one?.rows ?? 0), 0);
      expect(layer.share * 9).toBeCloseTo(entries, 10);
    }
    const cut = await visualize.outliers(model, tokenizer, 'text', { threshold: 1, maxTokens: 4 });
    expect(cut.data.layers).toEqual(parts[0]?.layers);
  });

  it('encoders, and both sides of encoder-decoders', async () => {
    const modulesOf = ({ data }: visualize.Visualization<visualize.OutliersData>) =>
      data.layers.map(({ module }) => module);
    await using bert = await AutoModel.from_pretrained(join(models, 'bert'));
    const names = modulesOf(await visualize.outliers(bert, fakeTokenizer({ text: ids }), 'text', { threshold: 1 }));
    expect(names).toContain('encoder.layer.0.attention.self.query');
    const { folder, remove } = await tinySeq2Seq();
    try {
      await using t5 = await AutoModelForSeq2SeqLM.from_pretrained(folder);
      const both = modulesOf(await visualize.outliers(t5, await AutoTokenizer.from_pretrained(folder), 'the cat'));
      expect(both).toEqual(
        expect.arrayContaining([expect.stringMatching(/^encoder\./), expect.stringMatching(/^decoder\./)]),
      );
    } finally {
      remove();
    }
  });

  it('every layer is an outlier at threshold 0, and none at a large one', async () => {
    const all = await visualize.outliers(model, tokenizer, 'text', { threshold: 0 });
    expect(all.data.layers.map(({ share }) => share)).toEqual(all.data.layers.map(() => 1));
    parseXml(all.svg);
    const none = await visualize.outliers(model, tokenizer, 'text', { threshold: 1e6 });
    expect(none.data.layers.flatMap(({ outliers }) => outliers)).toEqual([]);
    expect(none.html).toContain('<td class="number">0.00 %</td>');
  });

  it.each<[string, object, string, string]>([
    ['text', { threshold: -1 }, 'INVALID_ARGUMENT', 'threshold'],
    ['text', { window: 0 }, 'INVALID_ARGUMENT', 'window'],
    ['text', { maxTokens: 1.5 }, 'INVALID_ARGUMENT', 'maxTokens'],
    ['text', { treshold: 1 }, 'UNKNOWN_OPTION', "did you mean 'threshold'"],
    ['', {}, 'INVALID_ARGUMENT', 'no tokens'],
    ['text', { signal: AbortSignal.abort() }, 'ABORTED', 'aborted'],
  ])('%j with %j is refused', async (text, options, code, part) => {
    const error = await rejection(visualize.outliers(model, tokenizer, text, options));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });

  it('an abort between windows, after which the model is free again', async () => {
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const options = { window: 2, onProgress, signal: controller.signal };
    expect((await rejection(visualize.outliers(model, tokenizer, 'text', options))).code).toBe('ABORTED');
    expect((await visualize.outliers(model, tokenizer, 'text')).data.tokens).toBe(9);
  });
});
