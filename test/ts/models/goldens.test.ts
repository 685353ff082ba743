import { join } from 'node:path';
import { AutoModelForCausalLM, type CausalLanguageModel, type LoadOptions } from '../../../ts';
import { decoderFamilies } from '../../../ts/models/decoder_families';
import { failures, sameBits } from '../goldens/comparison';
import { goldensFolder } from '../goldens_folder';
import { testedIsas } from '../tested_isas';
import { GoldenFolder, openableFolders } from './golden_folder';

const goldens = goldensFolder();
const folders = [
  ...openableFolders(join(__dirname, '..', '..', 'fixtures', 'models'), 'decoder'),
  ...(goldens ? openableFolders(join(goldens, 'models'), 'decoder') : []),
].map((folder) => new GoldenFolder(folder));

async function withModel<T>(
  folder: GoldenFolder,
  options: LoadOptions,
  use: (model: CausalLanguageModel) => Promise<T>,
): Promise<T> {
  await using model = await AutoModelForCausalLM.from_pretrained(folder.folder, options);
  return await use(model); // without await the model would be disposed of before the work is done
}

it('there are checkpoints of every family', () => {
  const types = folders.map((folder) => folder.config.model_type);
  expect(types).toEqual(expect.arrayContaining(Object.keys(decoderFamilies)));
});

describe.each(folders.map((folder) => [folder.folder, folder] as const))('%s', (_, folder) => {
  it.each(testedIsas)('equals the reference on %s, and its greedy tokens are the same', async (isa) => {
    await withModel(folder, { dtype: 'float32', isa, threads: 2 }, async (model) => {
      expect(model.isa).toBe(isa);
      expect(failures(await folder.compareForward(model))).toEqual([]);
      expect(failures(await folder.compareGreedy(model))).toEqual([]);
    });
  });

  it('gives the same bits from the stored form as from float32', async () => {
    const input_ids = [folder.ids('single')];
    const logits = (dtype: 'auto' | 'float32') =>
      withModel(folder, { dtype }, async (model) => (await model.forward({ input_ids })).logits[0]?.data);
    expect(failures([sameBits('auto', await logits('auto'), await logits('float32'))])).toEqual([]);
  });

  it('gives the same bits in a ragged batch as alone', async () => {
    await withModel(folder, {}, async (model) => {
      expect(failures(await folder.compareRagged(model))).toEqual([]);
    });
  });

  it("gives the reference's logits step by step", async () => {
    await withModel(folder, {}, async (model) => {
      expect(failures(await folder.compareSteps(model))).toEqual([]);
    });
  });

  if (!folder.dependsOnLength) {
    it('gives the same bits step by step through the cache as at once', async () => {
      await withModel(folder, {}, async (model) => {
        expect(failures(await folder.compareCache(model))).toEqual([]);
      });
    });
  }

  it('gives the same bits on one thread as on two', async () => {
    const run = (threads: number) =>
      withModel(folder, { threads }, async (model) => {
        const { logits, attentions } = await model.forward({
          input_ids: [folder.ids('single')],
          output_attentions: true,
        });
        return [logits[0]?.data, ...(attentions ?? []).map(([tensor]) => tensor?.data)];
      });
    const [one, two] = [await run(1), await run(2)];
    expect(failures(one.map((data, index) => sameBits(`output ${index}`, data, two[index])))).toEqual([]);
  });
});
