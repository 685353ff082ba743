import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM, AutoModelForMaskedLM, type CausalLanguageModel, type LoadOptions } from '../../../ts';
import { rejection } from '../failure';
import { failures, largestDifference } from '../goldens/comparison';
import { GoldenFolder } from '../models/golden_folder';
import { seq2seqFolders } from '../models/seq2seq_folder';

const parent = join(__dirname, '..', '..', 'fixtures', 'models');
const llama = join(parent, 'llama');
const folders = readdirSync(parent)
  .map((name) => join(parent, name))
  .filter((folder) => existsSync(join(folder, 'golden.json')))
  .map((folder) => new GoldenFolder(folder))
  .filter((folder) => folder.golden.kind === 'decoder');

async function withModel<T>(
  folder: string,
  options: LoadOptions,
  use: (model: CausalLanguageModel) => Promise<T>,
): Promise<T> {
  await using model = await AutoModelForCausalLM.from_pretrained(folder, options);
  return await use(model);
}

describe.each(folders.map((folder) => [folder.name, folder] as const))('%s with int8 keys and values', (_, folder) => {
  it('the same bits alone, in a ragged batch, and step by step', async () => {
    await withModel(folder.folder, { quantization: { kvCache: 'int8' } }, async (model) => {
      expect(failures(await folder.compareRagged(model))).toEqual([]);
      if (!folder.dependsOnLength) expect(failures(await folder.compareCache(model))).toEqual([]);
    });
  });
});

it.each(seq2seqFolders(parent).map((folder) => [folder.folder, folder] as const))(
  '%s with int8 keys and values, those of the encoder too: the same bits alone, in a ragged batch, and step by step',
  async (_, folder) => {
    await using exact = await folder.open({});
    await using model = await folder.open({ quantization: { kvCache: 'int8' } });
    expect(failures(await folder.compareRagged(model))).toEqual([]);
    expect(failures(await folder.compareCache(model))).toEqual([]);
    const { input_ids, decoder_input_ids } = folder.golden.single;
    const logits = async (of: typeof model) =>
      (await of.forward({ input_ids: [input_ids], decoder_input_ids: [decoder_input_ids] })).logits[0]?.data;
    expect(await logits(model)).not.toEqual(await logits(exact));
  },
);

describe('beside any form of the weights', () => {
  const golden = new GoldenFolder(llama);
  const ids = golden.ids('single');
  const logits = (quantization: LoadOptions['quantization']) =>
    withModel(llama, { dtype: 'float32', ...(quantization ? { quantization } : {}) }, async (model) => {
      return (await model.forward({ input_ids: [ids] })).logits[0]?.data ?? new Float32Array();
    });

  // Rounding to bfloat16 is off by 2^-9 of a number at most, to int8 by 1/254 of the largest of a head; a few layers of random
  // weights add such errors up, and the tolerance is ten times as much.
  it.each([
    ['bfloat16', 0.02],
    ['int8', 0.04],
  ] as const)('%s is near float32, and not equal to it', async (kvCache, tolerance) => {
    for (const scheme of ['none', 'llm.int8'] as const) {
      const exact = await logits(scheme);
      const scale = exact.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      const difference = largestDifference(await logits({ scheme, kvCache }), exact);
      expect(difference).toBeGreaterThan(0);
      // In int8 layers a small difference may push a number over a rounding edge: 3e-2, as the goldens' README says.
      expect(difference / scale).toBeLessThan(scheme === 'none' ? tolerance : tolerance + 3e-2);
    }
  });

  it('true is int8, false and float32 are the default; of own int8 bfloat16 is', async () => {
    expect(await logits({ kvCache: true })).toEqual(await logits({ kvCache: 'int8' }));
    expect(await logits({ kvCache: false })).toEqual(await logits(undefined));
    expect(await logits({ scheme: 'llm.int8', kvCache: 'float32' })).toEqual(await logits('llm.int8'));
    const int8 = await logits('int8');
    expect(await logits({ scheme: 'int8', kvCache: 'bfloat16' })).toEqual(int8);
    expect(await logits({ scheme: 'int8', kvCache: 'float32' })).not.toEqual(int8);
  });

  it('weights that compute in bfloat16 have a bfloat16 cache by default', async () => {
    const bytes = (options: LoadOptions) =>
      withModel(llama, options, async (model) => {
        using cache = model.createCache();
        await model.forward({ input_ids: [[1, 2, 3]], past: cache });
        return cache.bytes;
      });
    const narrow = await bytes({ dtype: 'bfloat16' });
    expect(narrow).toBe(await bytes({ dtype: 'float32', quantization: { kvCache: 'bfloat16' } }));
    expect(await bytes({ dtype: 'bfloat16', quantization: { kvCache: 'float32' } })).toBeGreaterThan(narrow);
  });

  it('an encoder without a cache computes attention with bfloat16 keys and values', async () => {
    const last = async (quantization: LoadOptions['quantization']) => {
      await using model = await AutoModelForMaskedLM.from_pretrained(join(parent, 'bert-mlm'), {
        dtype: 'float32',
        ...(quantization ? { quantization } : {}),
      });
      return (await model.forward({ input_ids: [[1, 2, 3, 4]] })).logits[0]?.data ?? new Float32Array();
    };
    const exact = await last(undefined),
      narrow = await last({ kvCache: 'bfloat16' });
    const scale = exact.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    expect(narrow).not.toEqual(exact);
    expect(largestDifference(narrow, exact) / scale).toBeLessThan(0.02);
  });
});

describe('memory', () => {
  it('the footprint and the cache tell what the form saves', async () => {
    const bytes = (kvCache: 'float32' | 'bfloat16' | 'int8') =>
      withModel(llama, { quantization: { kvCache } }, async (model) => {
        using cache = model.createCache();
        await model.forward({ input_ids: [[1, 2, 3]], past: cache });
        expect(model.memoryFootprint().cache).toBe(cache.bytes);
        return cache.bytes;
      });
    const [floats, halves, narrow] = [await bytes('float32'), await bytes('bfloat16'), await bytes('int8')];
    expect(halves).toBe((floats * 2) / 3); // keys of 8 numbers are filled up to 16, as values are in every form
    expect(narrow).toBeGreaterThan(floats / 4); // the scales
    expect(narrow).toBeLessThan(halves);
  });

  it('forks and truncated caches go on as if nothing had happened', async () => {
    await withModel(llama, { quantization: { scheme: 'llm.int8', kvCache: 'int8' } }, async (model) => {
      const prompt = Array.from({ length: 37 }, (_, i) => (i * 5) % 40);
      const alone = (await model.forward({ input_ids: [[...prompt, 7, 8]] })).logits[0]?.data ?? new Float32Array();
      using cache = model.createCache();
      await model.forward({ input_ids: [prompt], past: cache });
      using fork = cache.fork();
      await model.forward({ input_ids: [[3, 2, 1]], past: fork });
      fork.truncate(37);
      for (const past of [cache, fork]) {
        const { logits } = await model.forward({ input_ids: [[7, 8]], past });
        expect(logits[0]?.data).toEqual(alone.slice(-(logits[0]?.data.length ?? 0)));
      }
    });
  });
});

it('a model without a cache refuses the option', async () => {
  const error = await rejection(
    AutoModelForMaskedLM.from_pretrained(join(parent, 'bert-mlm'), {
      quantization: { scheme: 'int8', kvCache: 'int8' },
    }),
  );
  expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining("'kvCache'")]);
});

describe('an int8 checkpoint', () => {
  const ids = new GoldenFolder(llama).ids('single');
  const logits = (folder: string, quantization?: LoadOptions['quantization'], target?: string) =>
    withModel(folder, quantization ? { quantization } : {}, async (model) => {
      if (target !== undefined) await model.save_pretrained(target);
      return (await model.forward({ input_ids: [ids] })).logits[0]?.data;
    });
  const noted = (folder: string) => {
    const { quantization } = JSON.parse(readFileSync(join(folder, 'octoformer_quantization.json'), 'utf8')) as {
      quantization: unknown;
    };
    return quantization;
  };
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'octoformer-narrow-'));
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  it.each(['int8', true, 'bfloat16'] as const)('keeps keys and values as it was saved with: %s', async (kvCache) => {
    const saved = join(parent, 'saved');
    const scheme = 'llm.int8';
    const narrow = await logits(llama, { scheme, kvCache }, saved);
    const wide = await logits(llama, scheme);
    expect(narrow).not.toEqual(wide);
    expect(noted(saved)).toMatchObject({ scheme, kvCache: kvCache === true ? 'int8' : kvCache });
    expect(await logits(saved)).toEqual(narrow);
    expect(await logits(saved, { kvCache: 'float32' })).toEqual(wide);
    expect(await logits(saved, scheme)).toEqual(wide); // says nothing of a cache, as it does of a float checkpoint
  });

  it('is saved again with what was asked for the cache alone', async () => {
    const [first, second] = [join(parent, 'first'), join(parent, 'second')];
    await logits(llama, 'int8', first);
    const wide = await logits(first, { kvCache: 'float32' }, second);
    expect(noted(second)).toEqual({ scheme: 'int8', embeddings: true, kvCache: 'float32' });
    expect(await logits(second)).toEqual(wide);
    expect(await logits(first)).not.toEqual(wide);
  });
});
