import { join } from 'node:path';
import { bitsandbytesFolders, versions } from '../goldens/bitsandbytes';
import { failures } from '../goldens/comparison';
import { goldensFolder } from '../goldens_folder';

const goldens = goldensFolder();
const folders = (goldens ? bitsandbytesFolders(join(goldens, 'bitsandbytes')) : []).filter(
  ({ kind }) => kind !== 'encdec',
);

if (folders.length === 0) it.skip('checkpoints of bitsandbytes (the goldens are not here)', () => undefined);
for (const folder of folders) {
  describe(`a checkpoint of bitsandbytes: ${folder.name}`, () => {
    it.each(Object.keys(versions))('%s', async (version) => {
      const comparisons = await folder.compare(version);
      expect(comparisons.length).toBeGreaterThan(4);
      expect(failures(comparisons)).toEqual([]);
    });

    it('can be opened in float32: the weights are dequantized', async () => {
      await using asStored = await folder.open({});
      await using asFloats = await folder.open({ quantization: 'none' });
      expect(Object.keys(asStored.memoryFootprint().weightsByForm).sort()).toEqual(['float32', 'int8']);
      expect(Object.keys(asFloats.memoryFootprint().weightsByForm)).toEqual(['float32']);
      await using quantizedAgain = await folder.open({ quantization: 'llm.int8' });
      const input_ids = [[1, 2, 3, 4, 5]];
      const [first, second] = await Promise.all([
        asStored.forward({ input_ids }),
        quantizedAgain.forward({ input_ids }),
      ]);
      expect(second.logits[0]?.data).toEqual(first.logits[0]?.data); // the int8 numbers are taken as they are
    });
  });
}
