import { join } from 'node:path';
import { info } from '../../../ts';
import { goldensFolder } from '../goldens_folder';
import { failures } from './golden_folder';
import { seq2seqFolders } from './seq2seq_folder';

const families = ['t5'];
const goldens = goldensFolder();
const folders = [
  ...seq2seqFolders(join(__dirname, '..', '..', 'fixtures', 'models'), families),
  ...(goldens ? seq2seqFolders(join(goldens, 'models'), families) : []),
];

describe.each(folders.map((folder) => [folder.folder, folder] as const))('%s', (_, folder) => {
  it.each(info().isas)('equals the reference on %s, and its greedy tokens are the same', async (isa) => {
    await using model = await folder.open({ dtype: 'float32', isa, threads: 2 });
    const comparisons = await folder.compareForward(model);
    expect(comparisons.length).toBeGreaterThan(0);
    expect(failures(comparisons)).toEqual([]);
    expect(failures(await folder.compareGreedy(model))).toEqual([]);
  });

  it('finds the beams of the reference', async () => {
    await using model = await folder.open({});
    expect(failures(await folder.compareBeams(model))).toEqual([]);
  });

  it('gives the same bits in a ragged batch as alone', async () => {
    await using model = await folder.open({});
    expect(failures(await folder.compareRagged(model))).toEqual([]);
  });

  it('gives the same bits in int8 in a ragged batch as alone, on any number of threads', async () => {
    await using model = await folder.open({ quantization: 'int8', threads: 2 });
    expect(failures(await folder.compareRagged(model))).toEqual([]);
  });
});
