import { join } from 'node:path';
import { info } from '../../../ts';
import { goldensFolder } from '../goldens_folder';
import { encoderFolders } from './encoder_folder';
import { failures } from './golden_folder';

const families = ['albert', 'bert', 'distilbert', 'electra', 'modernbert', 'roberta', 'xlm-roberta'];
const goldens = goldensFolder();
const folders = [
  ...encoderFolders(join(__dirname, '..', '..', 'fixtures', 'models'), families),
  ...(goldens ? encoderFolders(join(goldens, 'models'), families) : []),
];

describe.each(folders.map((folder) => [folder.folder, folder] as const))('%s', (_, folder) => {
  it.each(info().isas)('equals the reference on %s', async (isa) => {
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
