import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nn } from '../../ts';

const words = join(__dirname, '..', 'fixtures', 'models', 'bert');

/** Tokens for languages, which follow the 67 of the fixtures' word tokenizer. */
export const languageTokens = ['en_XX', 'de_DE', '__fr__'];
/** The word tokenizer's `[SEP]`. */
export const endToken = 3;
export const firstLanguage = 67;

/**
 * A folder with a tiny T5 of random weights and a tokenizer of words that ends texts with `[SEP]`; `remove()` deletes it.
 * @param config more for config.json @param tokenizerConfig more for tokenizer_config.json
 */
export async function tinySeq2Seq(
  config: object = {},
  tokenizerConfig: object = {},
): Promise<{ readonly folder: string; remove(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-seq2seq-'));
  const sizes = { vocab_size: 70, d_model: 16, d_kv: 4, d_ff: 24, num_layers: 2, num_heads: 4 };
  const ids = { pad_token_id: 0, eos_token_id: endToken, decoder_start_token_id: 0 };
  await nn.init(
    { model_type: 't5', architectures: ['T5ForConditionalGeneration'], ...sizes, ...ids, ...config },
    folder,
    { seed: 3 },
  );
  const tokenizer = JSON.parse(readFileSync(join(words, 'tokenizer.json'), 'utf8')) as {
    added_tokens: object[];
    post_processor: object;
  };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  tokenizer.added_tokens.push(
    ...languageTokens.map((content, index) => ({ id: firstLanguage + index, content, ...flags })),
  );
  tokenizer.post_processor = {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '[SEP]', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 0 } }],
    special_tokens: { '[SEP]': { id: '[SEP]', ids: [endToken], tokens: ['[SEP]'] } },
  };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  const names = { pad_token: '[PAD]', unk_token: '[UNK]', eos_token: '[SEP]', tokenizer_class: 'T5TokenizerFast' };
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({ ...names, model_max_length: 12, ...tokenizerConfig }),
  );
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}
