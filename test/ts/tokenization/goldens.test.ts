import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { goldensFolder } from '../goldens_folder';
import { checkGolden, type Golden, readJson, readTokenizer } from './golden_checks';

const folder = join(goldensFolder() ?? '', 'tokenizers');
const names = goldensFolder() !== null && existsSync(folder) ? readdirSync(folder) : [];

// Without the reference files the same checks run on the small copies in test/fixtures/tokenizers.
(names.length > 0 ? describe : describe.skip)('reference tokenizers', () => {
  test.each(names.length > 0 ? names : ['none'])('%s gives exactly what the Python tokenizer gives', (name) => {
    checkGolden(readTokenizer(join(folder, name)), readJson(folder, name, 'golden.json') as Golden);
  });
});
