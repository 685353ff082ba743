import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { failures } from '../goldens/comparison';
import { compareTokenizer, type GoldenTokenizer, readJson, readTokenizer } from '../goldens/tokenizer';
import { goldensFolder } from '../goldens_folder';

const folder = join(goldensFolder() ?? '', 'tokenizers');
const names = goldensFolder() !== null && existsSync(folder) ? readdirSync(folder) : [];

// Without the reference files the same checks run on the small copies in test/fixtures/tokenizers.
(names.length > 0 ? describe : describe.skip)('reference tokenizers', () => {
  test.each(names.length > 0 ? names : ['none'])('%s gives exactly what the Python tokenizer gives', (name) => {
    const golden = readJson(folder, name, 'golden.json') as GoldenTokenizer;
    expect(failures(compareTokenizer(readTokenizer(join(folder, name)), golden))).toEqual([]);
  });
});
