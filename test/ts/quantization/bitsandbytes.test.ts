import { join } from 'node:path';
import { bitsandbytesFolders, versions } from '../goldens/bitsandbytes';
import { failures } from '../goldens/comparison';
import { goldensFolder } from '../goldens_folder';

const goldens = goldensFolder();
const folders = goldens ? bitsandbytesFolders(join(goldens, 'bitsandbytes')) : [];

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
      const [first, second] = [await folder.results({}), await folder.results({ quantization: 'llm.int8' })];
      expect(second.get('single.logits')).toEqual(first.get('single.logits')); // the int8 numbers are taken as they are
    });
  });
}
