import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutoModelForCausalLM } from '../../../ts';
import { failures } from '../goldens/comparison';
import { compareSearch, type SearchCase, searchOptions } from '../goldens/search';
import { goldensFolder } from '../goldens_folder';
import { GoldenFolder, openableFolders } from '../models/golden_folder';

const llama = join(__dirname, '..', '..', 'fixtures', 'models', 'llama');
const fixtures = JSON.parse(readFileSync(join(llama, 'searches.golden.json'), 'utf8')) as (SearchCase & {
  readonly input_ids: readonly number[];
})[];
const goldens = goldensFolder();
const folders = (goldens ? openableFolders(join(goldens, 'models'), 'decoder') : [])
  .map((folder) => new GoldenFolder(folder))
  .filter(({ golden }) => (golden.beam ?? []).length > 0);

describe("what Python's generate() finds", () => {
  it.each(fixtures.map((one, index) => [index, one] as const))('fixture %d', async (_, one) => {
    await using model = await AutoModelForCausalLM.from_pretrained(llama, { dtype: 'float32' });
    const found = await model.generate({ input_ids: [one.input_ids] }, searchOptions(one));
    expect(failures(compareSearch('fixture', one, found, one.input_ids.length))).toEqual([]);
  });

  if (folders.length === 0) it.skip('beams of whole models (the goldens are not here)', () => undefined);
  for (const folder of folders) {
    it(folder.folder, async () => {
      await using model = await AutoModelForCausalLM.from_pretrained(folder.folder, { dtype: 'float32' });
      expect(failures(await folder.compareBeams(model))).toEqual([]);
    });
  }
});
