import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
import { rejection } from '../failure';
import { attentionBound, largestDifference } from '../goldens/comparison';
import { openEncoder } from '../models/encoder_folder';
import { openableFolders, readJson } from '../models/golden_folder';
import { readSafetensors } from '../safetensors';
import { tinySeq2Seq } from '../tiny_seq2seq';
import { fakeTokenizer, hostilePieces } from './fake_tokenizer';
import { elementById, elementsOf, parseXml, textOf } from './xml';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const llama = join(models, 'llama-chat');

interface Golden {
  readonly architecture: string;
  readonly decoder_start_token_id?: number;
  readonly single: {
    readonly input_ids: readonly number[];
    readonly token_type_ids?: readonly number[];
    readonly decoder_input_ids?: readonly number[];
  };
}

/** Folders of a kind that have reference results of attention (one has not: transformers gave none). */
const folders = (kind: string) =>
  openableFolders(models, kind)
    .filter((folder) => [...goldensOf(folder).keys()].some((name) => name.includes('attentions')))
    .map((folder): [string, string] => [folder.slice(models.length + 1), folder]);
const goldensOf = (folder: string) => readSafetensors(join(folder, 'golden.safetensors'));
const goldenOf = (folder: string) => readJson<Golden>(join(folder, 'golden.json'));

/** Every layer and head of a part against what Python's transformers gave, and each row of all as what probabilities are. */
function expectGolden(folder: string, part: visualize.AttentionPart | undefined, prefix: string): void {
  const goldens = goldensOf(folder);
  const layers = [...goldens.keys()].filter((name) => name.startsWith(`single.${prefix}attentions.`)).length;
  expect([part?.layers, layers > 0]).toEqual([layers, true]);
  for (const [layer, heads] of (part?.probabilities ?? []).entries()) {
    const golden = goldens.get(`single.${prefix}attentions.${layer}`);
    expect([heads.length, part?.queries.length, part?.keys.length]).toEqual(golden?.shape);
    const found = Float32Array.from(heads.flatMap((values) => [...values]));
    expect(largestDifference(found, golden?.data ?? [])).toBeLessThanOrEqual(attentionBound);
    const width = part?.keys.length ?? 0;
    for (let first = 0; first < found.length; first += width) {
      const sum = found.subarray(first, first + width).reduce((total, value) => total + value, 0);
      expect(sum).toBeCloseTo(1, 5);
    }
  }
}

let temporary = '';
beforeAll(() => {
  temporary = mkdtempSync(join(tmpdir(), 'octoformer-attention-'));
});
afterAll(() => rmSync(temporary, { recursive: true }));

/** A copy of a checkpoint whose configuration says something else. */
function changedConfig(folder: string, values: object): string {
  const copy = mkdtempSync(join(temporary, 'model-'));
  cpSync(folder, copy, { recursive: true });
  const file = join(copy, 'config.json');
  writeFileSync(file, JSON.stringify({ ...readJson<object>(file), ...values }));
  return copy;
}

describe('probabilities are those of transformers', () => {
  it.each(folders('decoder'))('%s', async (_, folder) => {
    const ids = goldenOf(folder).single.input_ids;
    await using model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: 'float32' });
    const { data } = await visualize.attention(model, fakeTokenizer({ text: ids }), 'text');
    expect(data.parts.map(({ name }) => name)).toEqual(['self']);
    expectGolden(folder, data.parts[0], '');
    for (const values of data.parts[0]?.probabilities.flat() ?? []) {
      for (let place = 0; place < values.length; place++) {
        if (place % ids.length > Math.floor(place / ids.length)) expect(values[place]).toBe(0); // nobody sees what comes after
      }
    }
  });

  it.each(folders('encoder'))('%s', async (_, folder) => {
    const { architecture, single } = goldenOf(folder);
    await using model = await openEncoder(folder, architecture, { dtype: 'float32' });
    const types = single.token_type_ids ? { types: single.token_type_ids } : {};
    const { data } = await visualize.attention(model, fakeTokenizer({ text: single.input_ids }, types), 'text');
    expectGolden(folder, data.parts[0], '');
  });

  it.each(folders('encdec'))('%s', async (_, folder) => {
    const { single } = goldenOf(folder);
    const [decoder_start_token_id, ...written] = single.decoder_input_ids ?? [];
    const changed = changedConfig(folder, { decoder_start_token_id }); // those of the reference results are any ids
    await using model = await AutoModelForSeq2SeqLM.from_pretrained(changed, { dtype: 'float32' });
    const tokenizer = fakeTokenizer({ text: single.input_ids, answer: written });
    const { data } = await visualize.attention(model, tokenizer, 'text', { decoderText: 'answer' });
    expect(data.parts.map(({ name }) => name)).toEqual(['encoder', 'decoder', 'cross']);
    expect(data.parts[2]?.queries.map(({ id }) => id)).toEqual(single.decoder_input_ids);
    for (const [index, prefix] of ['encoder_', 'decoder_', 'cross_'].entries()) {
      expectGolden(folder, data.parts[index], prefix);
    }
    // The same of a model that was opened without its head.
    await using bare = await AutoModel.from_pretrained(changed, { dtype: 'float32' });
    const same = await visualize.attention(bare, tokenizer, 'text', { decoderText: 'answer' });
    expect(same.data.parts).toEqual(data.parts);
  });
});

describe('what decoders of encoder-decoders read by default', () => {
  it('what the model writes, or the shifted text where a family has that', async () => {
    const { folder, remove } = await tinySeq2Seq();
    try {
      const tokenizer = await AutoTokenizer.from_pretrained(folder);
      await using model = await AutoModelForSeq2SeqLM.from_pretrained(folder);
      const { data } = await visualize.attention(model, tokenizer, 'the cat');
      const ids = tokenizer.encode('the cat').input_ids;
      const { sequences } = await model.generate({ input_ids: [ids] }, { max_new_tokens: 32, do_sample: false });
      expect(data.parts[1]?.queries.map(({ id }) => id)).toEqual(sequences[0]);
      expect(data.choice).toEqual({ part: 'cross', layer: 1, head: 'mean' });
      await using bare = await AutoModel.from_pretrained(folder);
      const error = await rejection(visualize.attention(bare, tokenizer, 'the cat'));
      expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('decoderText')]);
    } finally {
      remove();
    }
    await using bart = await AutoModel.from_pretrained(join(models, 'bart'));
    const ids = [0, 5, 7, 2];
    const { data } = await visualize.attention(bart, fakeTokenizer({ text: ids }), 'text');
    expect(data.parts[1]?.queries.map(({ id }) => id)).toEqual([bart.config.decoder_start_token_id, 0, 5, 7]);
  });
});

describe('pictures', () => {
  const ids = [1, 5, 9, 4, 11, 3];
  let model: CausalLanguageModel;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.from_pretrained(llama, { dtype: 'float32' });
  });
  afterAll(() => model.dispose());
  const long = Array.from({ length: 200 }, (_, index) => 3 + (index % 90));

  it('the chosen head is drawn, each cell at its place and in the colour of its probability', async () => {
    const { svg, data } = await visualize.attention(model, fakeTokenizer({ text: ids }), 'text', { layer: 0, head: 2 });
    const root = parseXml(svg);
    expect(textOf(elementById(root, 'attention-choice'))).toBe('layer 0, head 2');
    const [ground, ...rects] = elementsOf(elementById(root, 'attention-cells'), 'rect').map(
      ({ attributes }) => attributes,
    );
    const [x, y, side] = [Number(ground?.x), Number(ground?.y), Number(ground?.width) / ids.length];
    expect([side, Number(ground?.height)]).toEqual([22, 6 * 22]);
    const values = data.parts[0]?.probabilities[0]?.[2] ?? new Float32Array();
    // The first token has nothing but itself to attend to.
    expect(rects[0]).toMatchObject({ x: String(x), y: String(y), width: '22', height: '22', fill: '#f9f584' });
    const covered = new Map<number, string>();
    for (const rect of rects) {
      const row = (Number(rect.y) - y) / side;
      const first = Math.round((Number(rect.x) - x) / side);
      for (let column = first; column < first + Number(rect.width) / side; column++) {
        covered.set(row * ids.length + column, rect.fill ?? '');
      }
    }
    // As bright as the square root of the probability, on a scale of 64 colours of which the darkest are not drawn.
    const fills = [...new Set(rects.map(({ fill }) => fill ?? ''))];
    for (const [place, value] of values.entries()) {
      const step = Math.round(63 * Math.sqrt(value));
      expect(covered.has(place)).toBe(step > 0);
      for (const [other, otherValue] of values.entries()) {
        const sameStep = Math.round(63 * Math.sqrt(otherValue)) === step;
        expect(covered.get(place) === covered.get(other)).toBe(sameStep);
      }
    }
    expect(fills.every((fill) => /^#[0-9a-f]{6}$/.test(fill))).toBe(true);
    const labels = elementsOf(root, 'text').map(textOf);
    for (const id of ids) expect(labels.filter((label) => label === `t${id}`)).toHaveLength(2);
  });

  it('the mean of the heads', async () => {
    const { data, ansi } = await visualize.attention(model, fakeTokenizer({ text: ids }), 'text');
    const heads = data.parts[0]?.probabilities[1] ?? [];
    const rows = stripVTControlCharacters(ansi).split('\n').slice(3);
    expect(rows).toHaveLength(ids.length);
    for (const [row, line] of rows.entries()) {
      const signs = ids.map((_, column) => {
        const mean = heads.reduce((sum, values) => sum + (values[row * ids.length + column] ?? 0), 0) / heads.length;
        const tenths = Math.round(10 * mean);
        return tenths === 0 ? ' .' : tenths === 10 ? ' #' : ` ${tenths}`;
      });
      expect(line).toBe(`${`t${ids[row]}`.padStart(3)} ${row} ${signs.join('')}`);
    }
  });

  it('long texts are pooled in pictures, never in the data', async () => {
    const { svg, html, ansi, data } = await visualize.attention(model, fakeTokenizer({ text: long }), 'text', {
      columns: 60,
      head: 0,
    });
    expect(data.parts[0]?.probabilities[1]?.[0]?.length).toBe(200 * 200);
    const root = parseXml(svg);
    expect(elementsOf(root, 'desc').map(textOf)[0]).toContain('A cell stands for 3 x 3 tokens and shows the largest');
    const [ground] = elementsOf(elementById(root, 'attention-cells'), 'rect');
    expect(Number(ground?.attributes.width)).toBe(67 * Math.max(8, Math.floor(720 / 67)));
    for (const line of stripVTControlCharacters(ansi).split('\n')) expect(line.length).toBeLessThanOrEqual(60);
    expect(ansi).toContain('a cell is the largest of 4 x ');
    expect(html.length).toBeLessThan(1_000_000);
  });

  it('no token can break a page, a picture or a terminal', async () => {
    const tokenizer = fakeTokenizer(
      { text: hostilePieces.map((_, index) => index + 3) },
      { piece: (id) => hostilePieces[id - 3] ?? '' },
    );
    const { svg, html, ansi, data } = await visualize.attention(model, tokenizer, 'text');
    expect(data.parts[0]?.keys.map(({ piece }) => piece)).toEqual(hostilePieces);
    expect(elementsOf(parseXml(svg), 'script')).toEqual([]);
    expect(html.match(/<\/?script/g)).toEqual(['<script', '</script', '<script', '</script']);
    expect(html).not.toContain('<svg onload');
    expect(html).not.toContain('<!--');
    expect(html).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what colours are made of
    expect(ansi.replace(/\x1b\[[\d;]+m/g, '')).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
  });
});

describe('what can fail', () => {
  const tokenizer = fakeTokenizer({ text: [1, 5, 9, 4], long: Array<number>(8000).fill(5), '': [] });
  let model: CausalLanguageModel;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.from_pretrained(llama);
  });
  afterAll(() => model.dispose());

  it.each<[string, visualize.AttentionOptions | object, string, string]>([
    ['text', { layer: 2 }, 'INVALID_ARGUMENT', 'at most 1'],
    ['text', { head: 4 }, 'INVALID_ARGUMENT', "'head'"],
    ['text', { head: 'means' }, 'INVALID_ARGUMENT', "'means'"],
    ['text', { part: 'crosss' }, 'INVALID_ARGUMENT', 'self'],
    ['text', { layers: 1 }, 'UNKNOWN_OPTION', "did you mean 'layer'"],
    ['text', { decoderText: 'x' }, 'UNSUPPORTED_OPTION', 'encoder-decoders'],
    ['text', { text_pair: 'x' }, 'UNSUPPORTED_OPTION', 'encoders'],
    ['text', { columns: 5 }, 'INVALID_ARGUMENT', 'columns'],
    ['text', { maxTokens: 0 }, 'INVALID_ARGUMENT', 'maxTokens'],
    ['text', { signal: AbortSignal.abort() }, 'ABORTED', 'aborted'],
    ['', {}, 'INVALID_ARGUMENT', 'no tokens'],
    // 2 layers of 4 heads: 8000 x 8000 x 8 x 4 bytes; sqrt(2^30 / (8 x 4)) tokens have a GiB.
    ['long', {}, 'INVALID_ARGUMENT', '2.0 GB, and 1.1 GB is the most; give a shorter text, or maxTokens: 5792'],
  ])('%j with %j is refused', async (text, options, code, part) => {
    const error = await rejection(visualize.attention(model, tokenizer, text, options as visualize.AttentionOptions));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });

  it('maxTokens cuts the text', async () => {
    const { data } = await visualize.attention(model, tokenizer, 'long', { maxTokens: 3 });
    expect(data.parts[0]?.keys.length).toBe(3);
  });
});
