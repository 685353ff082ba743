import { join } from 'node:path';
import { encoderFamilies } from '../../../ts/models/encoder_families';
import { failures } from '../goldens/comparison';
import { goldensFolder } from '../goldens_folder';
import { testedIsas } from '../tested_isas';
import { encoderFolders } from './encoder_folder';

const goldens = goldensFolder();
const folders = [
  ...encoderFolders(join(__dirname, '..', '..', 'fixtures', 'models')),
  ...(goldens ? encoderFolders(join(goldens, 'models')) : []),
];

it('there are checkpoints of every family', () => {
  const types = folders.map(({ modelType }) => modelType);
  expect(types).toEqual(expect.arrayContaining(Object.keys(encoderFamilies)));
});

describe.each(folders.map((folder) => [folder.folder, folder] as const))('%s', (_, folder) => {
  it.each(testedIsas)('equals the reference on %s', async (isa) => {
    await using model = await folder.open({ dtype: 'float32', isa, threads: 2 });
    const comparisons = await folder.compareForward(model);
    expect(comparisons.length).toBeGreaterThan(0);
    expect(failures(comparisons)).toEqual([]);
  });

  it('gives the same bits in a ragged batch as alone', async () => {
    await using model = await folder.open({});
    expect(failures(await folder.compareRagged(model))).toEqual([]);
  });
});
