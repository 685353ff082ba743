import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { failures } from '../goldens/comparison';
import { compareEmbeddings, embeddingBounds, miniLMFolder } from '../goldens/real';
import { goldensFolder } from '../goldens_folder';

const folder = miniLMFolder();
const golden = join(goldensFolder() ?? '', 'real', 'minilm');

if (folder && existsSync(join(golden, 'golden.json'))) {
  it.each([
    ['float32', { dtype: 'float32' }],
    ['int8', { quantization: 'int8' }],
    ['int8', { quantization: 'llm.int8' }],
  ] as const)(
    'all-MiniLM-L6-v2 in %s: token ids, embeddings and cosines are those of Python',
    async (form, options) => {
      expect(failures(await compareEmbeddings(folder, golden, options, embeddingBounds[form]))).toEqual([]);
    },
    120_000,
  );
} else {
  it.skip('all-MiniLM-L6-v2 (its weights are not here: npm run demo -- embed fetches them)', () => undefined);
}
