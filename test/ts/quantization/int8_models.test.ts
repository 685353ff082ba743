import { join } from 'node:path';
import { AutoModelForCausalLM, type CausalLanguageModel, info, type LoadOptions } from '../../../ts';
import { int8SchemeNames, int8Schemes } from '../../../ts/quantization/int8_schemes';
import { failures, largestDifference, sameBits } from '../goldens/comparison';
import { encoderFolders } from '../models/encoder_folder';
import { GoldenFolder, openableFolders } from '../models/golden_folder';

const parent = join(__dirname, '..', '..', 'fixtures', 'models');
const llama = join(parent, 'llama');
const folders = openableFolders(parent, 'decoder').map((folder) => new GoldenFolder(folder));
const encoders = encoderFolders(parent);

async function withModel<T>(
  folder: string,
  options: LoadOptions,
  use: (model: CausalLanguageModel) => Promise<T>,
): Promise<T> {
  await using model = await AutoModelForCausalLM.from_pretrained(folder, options);
  return await use(model); // without await the model would be disposed of before the work is done
}

const logitsOf = async (model: CausalLanguageModel, ids: readonly number[]) =>
  (await model.forward({ input_ids: [ids] })).logits[0]?.data ?? new Float32Array();

/** Schemes that decide for each token row by itself. */
const byRow = int8SchemeNames.filter((name) => !('activation_scales' in int8Schemes[name]));

describe.each(folders.map((folder) => [folder.name, folder] as const))('%s', (_, folder) => {
  it.each(['llm.int8', 'int8', { scheme: 'int8-weight-only', groupSize: 12 }] as const)(
    '%j: the same bits alone, in a ragged batch, and step by step',
    async (quantization) => {
      await withModel(folder.folder, { quantization }, async (model) => {
        expect(failures(await folder.compareRagged(model))).toEqual([]);
        if (!folder.dependsOnLength) expect(failures(await folder.compareCache(model))).toEqual([]);
      });
    },
  );
});

it.each(encoders.map((folder) => [folder.name, folder] as const))(
  '%s: the same bits alone and in a ragged batch',
  async (_, folder) => {
    for (const quantization of ['llm.int8', 'int8'] as const) {
      await using model = await folder.open({ quantization });
      expect(Object.keys(model.memoryFootprint().weightsByForm)).toContain('int8');
      expect(failures(await folder.compareRagged(model))).toEqual([]);
    }
  },
);

describe('every scheme', () => {
  const golden = new GoldenFolder(llama);
  const ids = golden.ids('single');

  it.each(int8SchemeNames)('%s is near float32, and not equal to it', async (quantization) => {
    const exact = await withModel(llama, { dtype: 'float32' }, (model) => logitsOf(model, ids));
    const scale = exact.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    await withModel(llama, { dtype: 'float32', quantization }, async (model) => {
      const difference = largestDifference(await logitsOf(model, ids), exact);
      expect(difference).toBeGreaterThan(0);
      // Random weights of a small model have no outliers, and each of its few layers adds at most some 1/127 of its largest value;
      // one scale a tensor is worse than that by the spread of the rows' sizes.
      expect(difference / scale).toBeLessThan(
        quantization.includes('wise') || byRow.includes(quantization) ? 0.2 : 0.5,
      );
    });
  });

  it.each(byRow)('%s: the same bits for any number of threads', async (quantization) => {
    const logits = (threads: number) => withModel(llama, { quantization, threads }, (model) => logitsOf(model, ids));
    expect(failures([sameBits('threads', await logits(1), await logits(3))])).toEqual([]);
  });

  it.each(info().isas)('llm.int8 on %s is near the first of them', async (isa) => {
    // Int8 products are exact everywhere; the float32 ops between them are not, and may push a number over a rounding edge.
    const logits = (name: string) =>
      withModel(llama, { quantization: 'llm.int8', isa: name }, (model) => logitsOf(model, ids));
    const first = await logits(info().isas[0] ?? isa);
    const scale = first.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    expect(largestDifference(await logits(isa), first) / scale).toBeLessThan(3e-2); // the goldens' README
  });

  it('a threshold that nothing reaches changes nothing', async () => {
    const logits = (threshold: number) =>
      withModel(llama, { quantization: { scheme: 'llm.int8', threshold } }, (model) => logitsOf(model, ids));
    expect(await logits(1e30)).toEqual(await logits(0));
  });
});

describe('which modules', () => {
  const forms = (model: CausalLanguageModel, path: string) =>
    model.module(path).parameters.find(({ name }) => name === 'weight')?.form;
  const paths = [
    'model.embed_tokens',
    'model.layers.0.self_attn.q_proj',
    'model.layers.0.self_attn.v_proj',
    'model.layers.0.mlp.down_proj',
    'model.layers.1.mlp.down_proj',
    'lm_head',
  ];
  const formsOf = (options: LoadOptions) =>
    withModel(llama, { dtype: 'float32', ...options }, async (model) => paths.map((path) => forms(model, path)));

  it('all linear layers, but not the embedding and the head', async () => {
    const expected = ['float32', 'int8', 'int8', 'int8', 'int8', 'float32'];
    const others = int8SchemeNames.filter((name) => name !== 'int8');
    for (const quantization of others) expect(await formsOf({ quantization })).toEqual(expected);
    expect(await formsOf({ quantization: { scheme: 'int8', embeddings: false } })).toEqual(expected);
    expect(await formsOf({ quantization_config: { load_in_8bit: true } })).toEqual(expected);
  });

  it("embedding and head with scheme 'int8', and where they are asked for", async () => {
    expect(await formsOf({ quantization: 'int8' })).toEqual(paths.map(() => 'int8'));
    expect(await formsOf({ quantization: { scheme: 'int8', kvCache: 'float32' } })).toEqual(paths.map(() => 'int8'));
    expect(await formsOf({ quantization: { scheme: 'llm.int8', embeddings: true } })).toEqual(paths.map(() => 'int8'));
  });

  it("scheme 'int8' takes more entries of the head's inputs as outliers than of the layers'", async () => {
    const quantization = { scheme: 'int8', countOutliers: true } as const;
    await withModel(llama, { quantization }, async (model) => {
      await model.forward({ input_ids: [[1, 5, 9, 4]] });
      const { modules } = await model.quantizationReport();
      const head = modules.find(({ module }) => module === 'lm_head');
      expect(head?.scheme).toContain('inputs of magnitude 2.5 root mean squares of their token and above in 16 bits');
      expect(head?.scheme).toContain('8 feature(s) with the largest weights (1 in 32 at most) in float32 always');
      // One of the 32 inputs always; of the others 1.2 % lie beyond 2.5 root mean squares if they are normally distributed, and 6 are out of
      // reach of 32 numbers (sqrt(32) = 5.7).
      expect(head?.outliers?.share).toBeGreaterThan(1 / 32);
      expect(head?.outliers?.share).toBeLessThanOrEqual(1 / 32 + 1 / 2.5 ** 2);
      expect(modules.find(({ module }) => module.endsWith('0.self_attn.q_proj'))?.outliers?.share).toBe(0);
    });
  });

  it('those that are named stay float, also where they are computed with others', async () => {
    const skipModules = ['v_proj', 'layers.1.mlp'];
    expect(await formsOf({ quantization: { scheme: 'int8', skipModules } })).toEqual([
      'int8',
      'int8',
      'float32',
      'int8',
      'float32',
      'int8',
    ]);
  });

  describe('the table of tokens beside int8 layers', () => {
    const tableOf = (folder: string, options: LoadOptions) =>
      withModel(join(parent, folder), options, async (model) => [
        forms(model, 'model.embed_tokens'),
        forms(model, 'lm_head'),
        forms(model, 'model.norm'),
      ]);

    const floats = { scheme: 'int8', embeddings: false } as const;

    it('is float16 where it stays float, the checkpoint has float32 and nothing else is asked for', async () => {
      expect(await tableOf('mistral', { quantization: floats })).toEqual(['float16', 'float16', 'float32']);
      expect(await tableOf('mistral', { quantization: 'llm.int8' })).toEqual(['float16', 'float16', 'float32']);
      expect(await tableOf('mistral', { quantization: { scheme: 'int8', skipModules: ['lm_head'] } })).toEqual([
        'float16',
        'float16',
        'float32',
      ]);
    });

    it('stays as it is in 16 bits, without int8 layers, and where dtype says so', async () => {
      expect(await tableOf('gemma', { quantization: floats })).toEqual(['bfloat16', 'bfloat16', 'float32']);
      expect(await tableOf('mistral', {})).toEqual(['float32', 'float32', 'float32']);
      expect(await tableOf('mistral', { quantization: { scheme: 'none', kvCache: 'int8' } })).toEqual([
        'float32',
        'float32',
        'float32',
      ]);
      expect(await tableOf('mistral', { quantization: floats, dtype: 'float32' })).toEqual([
        'float32',
        'float32',
        'float32',
      ]);
    });

    it('is int8 whatever dtype floats have', async () => {
      for (const dtype of ['float32', 'bfloat16'] as const) {
        expect((await tableOf('mistral', { quantization: 'int8', dtype })).slice(0, 2)).toEqual(['int8', 'int8']);
      }
      expect(await tableOf('gemma', { quantization: 'int8' })).toEqual(['int8', 'int8', 'float32']);
    });
  });

  it('experts are quantized, what chooses between them is not', async () => {
    await withModel(join(parent, 'qwen2_moe'), { dtype: 'float32', quantization: 'int8' }, async (model) => {
      const inBlock = ['gate', 'shared_expert_gate', 'experts.5.up_proj', 'shared_expert.down_proj'];
      expect(inBlock.map((name) => forms(model, `model.layers.0.mlp.${name}`))).toEqual([
        'float32',
        'float32',
        'int8',
        'int8',
      ]);
    });
  });

  it('int8 weights take a quarter of the bytes of float32', async () => {
    const bytes = (options: LoadOptions) =>
      withModel(llama, { dtype: 'float32', ...options }, async (model) => model.memoryFootprint().weightsByForm);
    const floats = await bytes({ quantization: 'none' });
    const mixed = await bytes({ quantization: { scheme: 'llm.int8', embeddings: true } });
    // Scales, row sums and padding of narrow matrices to whole tiles come on top of the numbers.
    expect(mixed.int8).toBeGreaterThan(0.25 * ((floats.float32 ?? 0) - (mixed.float32 ?? 0)));
    expect(mixed.int8).toBeLessThan(0.6 * ((floats.float32 ?? 0) - (mixed.float32 ?? 0)));
  });
});
