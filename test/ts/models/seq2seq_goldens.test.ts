import { join } from 'node:path';
import type { LoadOptions } from '../../../ts';
import { encoderDecoderFamilies } from '../../../ts/models/encoder_decoder_families';
import { failures, sameBits } from '../goldens/comparison';
import { goldensFolder } from '../goldens_folder';
import { testedIsas } from '../tested_isas';
import { seq2seqFolders } from './seq2seq_folder';

const goldens = goldensFolder();
const folders = [
  ...seq2seqFolders(join(__dirname, '..', '..', 'fixtures', 'models')),
  ...(goldens ? seq2seqFolders(join(goldens, 'models')) : []),
];

it('there are checkpoints of every family', () => {
  const types = new Set(folders.map(({ modelType }) => modelType));
  const known = Object.keys(encoderDecoderFamilies);
  expect([...types].sort()).toEqual([...known].sort());
});

describe.each(folders.map((folder) => [folder.folder, folder] as const))('%s', (_, folder) => {
  it.each(testedIsas)('equals the reference on %s, and its greedy tokens are the same', async (isa) => {
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

  it('gives the same bits step by step through the cache as at once', async () => {
    await using model = await folder.open({});
    expect(failures(await folder.compareCache(model))).toEqual([]);
  });

  it('gives the same bits on one thread as on two, and from the stored form as from float32', async () => {
    const run = async (options: LoadOptions) => {
      await using model = await folder.open(options);
      const { logits } = await model.forward({
        input_ids: [folder.golden.single.input_ids],
        decoder_input_ids: [folder.golden.single.decoder_input_ids],
      });
      return logits[0]?.data;
    };
    const one = await run({ threads: 1 });
    const others = [
      sameBits('threads', await run({ threads: 2 }), one),
      sameBits('form', await run({ dtype: 'float32' }), one),
    ];
    expect(failures(others)).toEqual([]);
  });

  it('gives the same bits in int8 in a ragged batch as alone', async () => {
    await using model = await folder.open({ quantization: 'int8', threads: 2 });
    expect(failures(await folder.compareRagged(model))).toEqual([]);
  });
});
