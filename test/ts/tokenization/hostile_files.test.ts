import { OctoformerError } from '../../../ts/binding/error';
import { Tokenizer, tokenizerFromGguf } from '../../../ts/tokenization';

const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: [['a', 'b']] };

function complaint(build: () => unknown): string {
  try {
    build();
  } catch (error) {
    if (OctoformerError.is(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

function nested(type: string, key: string): unknown {
  let value: unknown = { type, [key]: [] };
  for (let i = 0; i < 5000; i++) value = { type, [key]: [value] };
  return value;
}

test('the plain file is accepted, so that each complaint below is about its own change', () => {
  const tokenizer = Tokenizer.fromFiles({ tokenizerJson: { model } });
  expect(tokenizer.encode('abb').input_ids).toEqual([2, 1]);
  expect(tokenizer.encode('abb').offsets).toEqual([
    [0, 2],
    [2, 3],
  ]);
});

test.each<[string, unknown, RegExp]>([
  ['no object', [], /tokenizer\.json: expected an object/],
  ['nothing', null, /tokenizer\.json/],
  ['no model', {}, /tokenizer\.json\.model: the model is missing/],
  ['model of an unknown type', { model: { ...model, type: 'Magic' } }, /model\.type: .*"Magic".*BPE/],
  ['vocabulary that is a string', { model: { ...model, vocab: 'abc' } }, /model\.vocab/],
  ['vocabulary missing', { model: { type: 'BPE', merges: [] } }, /model\.vocab: .*missing/],
  ['id that is no number', { model: { ...model, vocab: { a: '0' } } }, /model\.vocab: .*"a".*"0"/],
  ['negative id', { model: { ...model, vocab: { a: -1 } } }, /model\.vocab: .*"a".*-1/],
  ['fraction as id', { model: { ...model, vocab: { a: 0.5 } } }, /model\.vocab: .*0\.5/],
  ['absurd id', { model: { ...model, vocab: { a: 0, b: 2147483647 } } }, /model\.vocab: .*2147483647.*holes/],
  ['one id twice', { model: { ...model, vocab: { a: 0, b: 0 } } }, /model\.vocab: .*"a".*"b"/],
  ['merge of a missing token', { model: { ...model, merges: [['a', 'x']] } }, /model\.merges: merge 0.*"x"/],
  ['merge into a missing token', { model: { ...model, merges: ['b a'] } }, /model\.merges: merge 0.*"ba"/],
  ['merge that is no pair', { model: { ...model, merges: ['a'] } }, /model\.merges: merge 0/],
  ['merges missing', { model: { type: 'BPE', vocab: {} } }, /model\.merges/],
  ['unigram entry without score', { model: { type: 'Unigram', vocab: [['a']] } }, /model\.vocab: entry 0/],
  [
    'unigram unknown id out of range',
    { model: { type: 'Unigram', vocab: [['a', -1]], unk_id: 7 } },
    /model\.unk_id: .*7/,
  ],
  ['random merges', { model: { ...model, dropout: 0.1 } }, /model\.dropout.*null/],
  ['unknown normalizer', { model, normalizer: { type: 'Magic' } }, /normalizer: .*"Magic"/],
  ['unknown pre-tokenizer', { model, pre_tokenizer: { type: 'Magic' } }, /pre_tokenizer: .*"Magic"/],
  ['unknown post-processor', { model, post_processor: { type: 'Magic' } }, /post_processor: .*"Magic"/],
  ['unknown decoder', { model, decoder: { type: 'Magic' } }, /decoder: .*"Magic"/],
  [
    'normalizers within normalizers',
    { model, normalizer: nested('Sequence', 'normalizers') },
    /normalizer.*sequences within sequences/,
  ],
  [
    'pre-tokenizers within',
    { model, pre_tokenizer: nested('Sequence', 'pretokenizers') },
    /pre_tokenizer.*sequences within sequences/,
  ],
  ['decoders within', { model, decoder: nested('Sequence', 'decoders') }, /decoder.*sequences within sequences/],
  [
    'post-processors within',
    { model, post_processor: nested('Sequence', 'processors') },
    /post_processor.*sequences within sequences/,
  ],
  [
    'groups within groups',
    { model, pre_tokenizer: { type: 'Split', pattern: { Regex: '('.repeat(5000) }, behavior: 'Isolated' } },
    /pattern\.Regex.*groups/,
  ],
  [
    '\\G in a pattern',
    { model, pre_tokenizer: { type: 'Split', pattern: { Regex: '\\Ga' }, behavior: 'Isolated' } },
    /pattern\.Regex.*\\G/,
  ],
  [
    'unknown property',
    { model, pre_tokenizer: { type: 'Split', pattern: { Regex: '\\p{Magic}' }, behavior: 'Isolated' } },
    /\\p\{Magic\}/,
  ],
  [
    'unclosed group',
    { model, normalizer: { type: 'Replace', pattern: { Regex: '(a' }, content: '' } },
    /pattern\.Regex/,
  ],
  [
    'unknown behavior',
    { model, pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Magic' } },
    /behavior.*"Magic".*Isolated/,
  ],
  [
    'character map cut short',
    { model, normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAEAAA==' } },
    /precompiled_charsmap/,
  ],
  [
    'added token with an absurd id',
    { model, added_tokens: [{ id: 2000000000, content: 'x' }] },
    /added_tokens\[0\]\.id.*2000000000/,
  ],
  [
    'added token that takes an id',
    { model, added_tokens: [{ id: 1, content: 'x' }] },
    /added_tokens\[0\]\.id.*"b".*"x"/,
  ],
  [
    'template with an unknown token',
    {
      model,
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: 'x', type_id: 0 } }],
        special_tokens: {},
      },
    },
    /"x"/,
  ],
])('%s', (_, tokenizerJson, message) => {
  const got = complaint(() => Tokenizer.fromFiles({ tokenizerJson }));
  expect(got).toMatch(/^INVALID_TOKENIZER /);
  expect(got).toMatch(message);
});

test('a character map that leads out of its table changes nothing', () => {
  // A trie of one unit whose offset points far outside.
  const map = Buffer.alloc(9);
  map.writeUInt32LE(4, 0);
  map.writeUInt32LE(0x7ffffc00, 4);
  const normalizer = { type: 'Precompiled', precompiled_charsmap: map.toString('base64') };
  expect(Tokenizer.fromFiles({ tokenizerJson: { model, normalizer } }).encode('ab').input_ids).toEqual([2]);
});

const gguf = {
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'gpt-2',
  'tokenizer.ggml.tokens': ['a', 'b', 'ab', '<|end|>'],
  'tokenizer.ggml.token_type': [1, 1, 1, 3],
  'tokenizer.ggml.merges': ['a b'],
  'tokenizer.ggml.eos_token_id': 3,
};

test('a GGUF tokenizer', () => {
  const tokenizer = tokenizerFromGguf(gguf);
  expect(tokenizer.encode('abb<|end|>').input_ids).toEqual([2, 1, 3]);
  expect(tokenizer.eos_token).toBe('<|end|>');
  expect(tokenizer.decode([2, 3, 1], { skip_special_tokens: true })).toBe('abb');
});

test('SentencePiece vocabularies in GGUF are merged by their scores', () => {
  const tokenizer = tokenizerFromGguf({
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', '▁', 'a', 'b', 'c', 'bc', 'ab', '▁ab'],
    'tokenizer.ggml.scores': [0, 0, 0, -6, -7, -8, -9, -1, -2, -3],
    'tokenizer.ggml.token_type': [2, 3, 3, 1, 1, 1, 1, 1, 1, 1],
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.unknown_token_id': 0,
  });
  // "bc" has the higher score, so it is joined before "ab" can be.
  expect(tokenizer.encode('abc').tokens).toEqual(['<s>', '▁', 'a', 'bc']);
  expect(tokenizer.encode('ab').tokens).toEqual(['<s>', '▁ab']);
  expect(tokenizer.decode(tokenizer.encode('ab abc').input_ids, { skip_special_tokens: true })).toBe('ab abc');
});

test.each<[string, object, RegExp]>([
  ['no tokenizer', { 'tokenizer.ggml.model': undefined }, /tokenizer\.ggml\.model/],
  ['unknown model', { 'tokenizer.ggml.model': 'magic' }, /tokenizer\.ggml\.model.*"magic"/],
  ['unknown words', { 'tokenizer.ggml.pre': 'magic' }, /tokenizer\.ggml\.pre: .*"magic".*smollm/],
  ['no tokens', { 'tokenizer.ggml.tokens': undefined }, /tokenizer\.ggml\.tokens/],
  ['a token twice', { 'tokenizer.ggml.tokens': ['a', 'b', 'ab', 'a'] }, /tokens 0 and 3/],
  ['types of another number', { 'tokenizer.ggml.token_type': [1] }, /token_type: 1 types for 4/],
  ['no merges', { 'tokenizer.ggml.merges': undefined }, /tokenizer\.ggml\.merges/],
])('GGUF: %s', (_, change, message) => {
  const got = complaint(() => tokenizerFromGguf({ ...gguf, ...change }));
  expect(got).toMatch(/^INVALID_TOKENIZER /);
  expect(got).toMatch(message);
});
