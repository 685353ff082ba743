import { AutoTokenizer } from '../../../ts';
import { rejection } from '../failure';
import { lists, removeFolders, write } from './vocabulary_folders';

afterAll(removeFolders);

describe('lists of tokens: refused is', () => {
  const words = lists('vocab.txt', []);
  const pairs = lists('vocab.json', []);
  const gpt2 = { 'config.json': { model_type: 'gpt2' } };
  const { 'vocab.json': vocab = '', 'merges.txt': merges = '' } = pairs;
  it.each<[string, Readonly<Record<string, string | object>>, RegExp]>([
    [
      'no file that tells the kind',
      words,
      /^NOT_FOUND tokenizer\.json .*vocab\.txt.*config\.json or tokenizer_config\.json/,
    ],
    ['a vocabulary without merges', { 'vocab.json': vocab, ...gpt2 }, /^NOT_FOUND tokenizer\.json .*merges\.txt/],
    ['the other lists', { ...words, ...gpt2 }, /^NOT_FOUND vocab\.json, which a GPT2Tokenizer is made of/],
    [
      'a class that is not known',
      { ...words, 'tokenizer_config.json': { tokenizer_class: 'BertJapaneseTokenizer' } },
      /^UNSUPPORTED_ARCHITECTURE BertJapaneseTokenizer can't be made of .*BertTokenizer/,
    ],
    [
      'a model of no known kind',
      { ...words, 'config.json': { model_type: 'new' } },
      /^UNSUPPORTED_ARCHITECTURE .*"new"/,
    ],
    [
      'three tokens a line',
      { ...pairs, 'merges.txt': `${merges}a b c\n`, ...gpt2 },
      /^INVALID_TOKENIZER merges\.txt: line 127 /,
    ],
    ['an empty line', { ...pairs, 'merges.txt': `\n${merges}`, ...gpt2 }, /^INVALID_TOKENIZER merges\.txt: line 1 /],
    ['an unknown token', { ...pairs, 'merges.txt': `${merges}a zzz\n`, ...gpt2 }, /^INVALID_TOKENIZER .*"zzz"/],
    ['ids that are none', { ...pairs, 'vocab.json': '{"a": -1}', ...gpt2 }, /^INVALID_TOKENIZER vocab\.json\.a/],
    ['no object', { ...pairs, 'vocab.json': '[]', ...gpt2 }, /^INVALID_TOKENIZER .*vocab\.json/],
    [
      'a class without a token that it needs',
      { ...words, 'config.json': { model_type: 'bert' }, 'tokenizer_config.json': { cls_token: null } },
      /^INVALID_TOKENIZER tokenizer_config\.json: BertTokenizer needs a cls_token/,
    ],
  ])('%s', async (_, files, message) => {
    const error = await rejection(AutoTokenizer.from_pretrained(write(files)));
    expect(`${error.code} ${error.message}`).toMatch(message);
  });
});
