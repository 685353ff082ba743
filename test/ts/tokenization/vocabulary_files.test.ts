import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { AutoModel, AutoTokenizer } from '../../../ts';
import { sentenceFolder } from '../pipelines/sentence_folder';
import { lists, removeFolders, write } from './vocabulary_folders';

afterAll(removeFolders);

const texts = ["Hello, Wörld! it's  the end.", 'a\nb <mask> [MASK]你</s> x<|endoftext|>'];

interface Expected {
  readonly length: number;
  readonly special: readonly number[];
  readonly ids: readonly (readonly number[])[];
  /** Where the tokens of the first text end. */
  readonly ends: readonly number[];
  readonly pair: readonly number[];
  /** The first text, without special tokens. */
  readonly decoded: string;
}

// What AutoTokenizer of transformers 5.5.4 makes of the same folders.
it.each<[string, string, readonly string[], Readonly<Record<string, object>>, Expected]>([
  [
    'BERT',
    'vocab.txt',
    [],
    { 'config.json': { model_type: 'bert' } },
    {
      length: 800,
      special: [0, 1, 2, 3, 4],
      ids: [
        [2, 412, 402, 251, 13, 55, 401, 442, 5, 450, 9, 51, 394, 760, 247, 15, 3],
        [2, 33, 34, 27, 779, 269, 1, 4, 1, 27, 16, 51, 1, 56, 27, 1, 760, 247, 251, 744, 248, 272, 246, 1, 1, 3],
      ],
      ends: [0, 2, 4, 5, 6, 8, 10, 12, 13, 16, 17, 18, 23, 26, 27, 28, 0],
      pair: [2, 394, 3, 760, 247, 3],
      decoded: "hello, world! it ' s the end.",
    },
  ],
  [
    'BERT, cased',
    'vocab.txt',
    [],
    {
      'config.json': { model_type: 'distilbert' },
      'tokenizer_config.json': { do_lower_case: false, tokenize_chinese_chars: false },
    },
    {
      length: 800,
      special: [0, 1, 2, 3, 4],
      ids: [
        [2, 1, 13, 1, 5, 450, 9, 51, 394, 760, 247, 15, 3],
        [2, 33, 34, 27, 779, 269, 1, 4, 1, 27, 16, 51, 1, 56, 27, 1, 760, 247, 251, 744, 248, 272, 246, 1, 1, 3],
      ],
      ends: [0, 5, 6, 12, 13, 16, 17, 18, 23, 26, 27, 28, 0],
      pair: [2, 394, 3, 760, 247, 3],
      decoded: ",! it ' s the end.",
    },
  ],
  [
    'BERT with accents',
    'vocab.txt',
    [],
    { 'tokenizer_config.json': { tokenizer_class: 'BertTokenizer', strip_accents: false } },
    {
      length: 800,
      special: [0, 1, 2, 3, 4],
      ids: [
        [2, 412, 402, 251, 13, 1, 5, 450, 9, 51, 394, 760, 247, 15, 3],
        [2, 33, 34, 27, 779, 269, 1, 4, 1, 27, 16, 51, 1, 56, 27, 1, 760, 247, 251, 744, 248, 272, 246, 1, 1, 3],
      ],
      ends: [0, 2, 4, 5, 6, 12, 13, 16, 17, 18, 23, 26, 27, 28, 0],
      pair: [2, 394, 3, 760, 247, 3],
      decoded: "hello,! it ' s the end.",
    },
  ],
  [
    'MPNet',
    'vocab.txt',
    ['<s>', '</s>', '<pad>', '<mask>'],
    { 'config.json': { model_type: 'mpnet' } },
    {
      length: 804,
      special: [1, 800, 801, 802, 803],
      ids: [
        [800, 412, 402, 251, 13, 55, 401, 442, 5, 450, 9, 51, 394, 760, 247, 15, 801],
        [800, 33, 34, 803, 30, 779, 269, 31, 1, 801, 56, 27, 1, 760, 247, 251, 744, 248, 272, 246, 1, 1, 801],
      ],
      ends: [0, 2, 4, 5, 6, 8, 10, 12, 13, 16, 17, 18, 23, 26, 27, 28, 0],
      pair: [800, 394, 801, 801, 760, 247, 801],
      decoded: "hello, world! it ' s the end.",
    },
  ],
  [
    'GPT-2',
    'vocab.json',
    ['<|endoftext|>'],
    { 'config.json': { model_type: 'gpt2' } },
    {
      length: 384,
      special: [0],
      ids: [
        [42, 71, 78, 78, 81, 14, 223, 57, 130, 117, 84, 78, 70, 3, 223, 279, 9, 85, 223, 264, 223, 265, 70, 16],
        [
          67, 201, 68, 223, 30, 79, 67, 85, 77, 32, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 30, 17, 85, 32, 223, 90,
          0,
        ],
      ],
      ends: [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28],
      pair: [86, 259, 265, 70],
      decoded: "Hello, Wörld! it's  the end.",
    },
  ],
  [
    'OPT',
    'vocab.json',
    ['</s>', '<pad>'],
    {
      'config.json': { model_type: 'opt' },
      'tokenizer_config.json': {
        bos_token: '</s>',
        eos_token: '</s>',
        unk_token: '</s>',
        pad_token: '<pad>',
        add_bos_token: true,
        add_prefix_space: true,
      },
    },
    {
      length: 386,
      special: [384, 385],
      ids: [
        [
          384, 223, 42, 71, 78, 78, 81, 14, 223, 57, 130, 117, 84, 78, 70, 3, 223, 279, 9, 85, 223, 264, 223, 265, 70,
          16,
        ],
        [
          384, 261, 201, 68, 223, 30, 79, 67, 85, 77, 32, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 384, 223, 90, 30,
          94, 265, 70, 81, 72, 86, 369, 86, 94, 32,
        ],
      ],
      ends: [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28],
      pair: [384, 264, 384, 223, 265, 70],
      decoded: " Hello, Wörld! it's  the end.",
    },
  ],
  [
    'RoBERTa',
    'vocab.json',
    ['<s>', '</s>', '<pad>', '<unk>', '<mask>'],
    { 'config.json': { model_type: 'roberta' } },
    {
      length: 389,
      special: [384, 385, 386, 387, 388],
      ids: [
        [
          384, 42, 71, 78, 78, 81, 14, 223, 57, 130, 117, 84, 78, 70, 3, 223, 279, 9, 85, 223, 264, 223, 265, 70, 16,
          385,
        ],
        [
          384, 67, 201, 68, 223, 388, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 385, 223, 90, 30, 94, 265, 70, 81, 72,
          86, 369, 86, 94, 32, 385,
        ],
      ],
      ends: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28, 0],
      pair: [384, 86, 259, 385, 385, 265, 70, 385],
      decoded: "Hello, Wörld! it's  the end.",
    },
  ],
  [
    'BART',
    'vocab.json',
    ['<s>', '</s>', '<pad>', '<unk>', '<mask>'],
    { 'tokenizer_config.json': { tokenizer_class: 'BartTokenizer', add_prefix_space: true, trim_offsets: false } },
    {
      length: 389,
      special: [384, 385, 386, 387, 388],
      ids: [
        [
          384, 223, 42, 71, 78, 78, 81, 14, 223, 57, 130, 117, 84, 78, 70, 3, 223, 279, 9, 85, 223, 264, 223, 265, 70,
          16, 385,
        ],
        [
          384, 261, 201, 68, 223, 388, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 385, 223, 90, 30, 94, 265, 70, 81,
          72, 86, 369, 86, 94, 32, 385,
        ],
      ],
      ends: [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28, 0],
      pair: [384, 264, 385, 385, 223, 265, 70, 385],
      decoded: " Hello, Wörld! it's  the end.",
    },
  ],
  [
    'RoBERTa, special tokens described',
    'vocab.json',
    ['<s>', '</s>', '<pad>', '<unk>', '<mask>'],
    {
      'config.json': { model_type: 'roberta' },
      'special_tokens_map.json': {
        mask_token: { content: '<mask>', lstrip: true, rstrip: false, single_word: false, normalized: true },
      },
      'added_tokens.json': { it: 390, Wörld: 389 },
    },
    {
      length: 390,
      special: [384, 385, 386, 387, 388],
      ids: [
        [384, 42, 71, 78, 78, 81, 14, 223, 389, 3, 223, 279, 9, 85, 223, 264, 223, 265, 70, 16, 385],
        [
          384, 67, 201, 68, 388, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 385, 223, 90, 30, 94, 265, 70, 81, 72, 86,
          369, 86, 94, 32, 385,
        ],
      ],
      ends: [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28, 0],
      pair: [384, 86, 259, 385, 385, 265, 70, 385],
      decoded: "Hello, W�rld! it's  the end.",
    },
  ],
  [
    'RoBERTa, as transformers 4 saved it',
    'vocab.json',
    ['<s>', '</s>', '<pad>', '<unk>', '<mask>'],
    {
      'tokenizer_config.json': {
        tokenizer_class: 'RobertaTokenizer',
        mask_token: '<mask>',
        added_tokens_decoder: {
          '388': {
            content: '<mask>',
            lstrip: true,
            normalized: false,
            rstrip: false,
            single_word: false,
            special: true,
          },
          '389': { content: 'end', lstrip: false, normalized: true, rstrip: false, single_word: true, special: false },
        },
      },
    },
    {
      length: 390,
      special: [384, 385, 386, 387, 388],
      ids: [
        [384, 42, 71, 78, 78, 81, 14, 223, 57, 130, 117, 84, 78, 70, 3, 223, 279, 9, 85, 223, 264, 223, 389, 16, 385],
        [
          384, 67, 201, 68, 388, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 385, 223, 90, 30, 94, 265, 70, 81, 72, 86,
          369, 86, 94, 32, 385,
        ],
      ],
      ends: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 27, 28, 0],
      pair: [384, 86, 259, 385, 385, 389, 385],
      decoded: "Hello, Wörld! it's  the end.",
    },
  ],
  [
    'Qwen2',
    'vocab.json',
    ['<|endoftext|>'],
    { 'config.json': { model_type: 'qwen2' } },
    {
      length: 384,
      special: [0],
      ids: [
        [42, 71, 78, 78, 81, 14, 223, 57, 130, 117, 84, 78, 70, 3, 223, 279, 9, 85, 223, 264, 223, 265, 70, 16],
        [
          67, 201, 68, 223, 30, 79, 67, 85, 77, 32, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 30, 17, 85, 32, 223, 90,
          0,
        ],
      ],
      ends: [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28],
      pair: [86, 259, 265, 70],
      decoded: "Hello, Wörld! it's  the end.",
    },
  ],
  [
    'CodeGen',
    'vocab.json',
    ['<|endoftext|>'],
    { 'tokenizer_config.json': { tokenizer_class: 'CodeGenTokenizer' } },
    {
      length: 384,
      special: [0],
      ids: [
        [42, 71, 78, 78, 81, 14, 223, 57, 130, 117, 84, 78, 70, 3, 223, 279, 9, 85, 223, 264, 223, 265, 70, 16],
        [
          67, 201, 68, 223, 30, 79, 67, 85, 77, 32, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 30, 17, 85, 32, 223, 90,
          0,
        ],
      ],
      ends: [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28],
      pair: [86, 259, 265, 70],
      decoded: "Hello, Wörld! it's  the end.",
    },
  ],
  [
    'GPT-NeoX',
    'vocab.json',
    ['<|endoftext|>'],
    { 'config.json': { model_type: 'gpt_neox' } },
    {
      length: 385,
      special: [0, 384],
      ids: [
        [42, 71, 78, 78, 81, 14, 223, 57, 130, 117, 84, 78, 70, 3, 223, 279, 9, 85, 223, 264, 223, 265, 70, 16],
        [
          67, 201, 68, 223, 30, 79, 67, 85, 77, 32, 223, 61, 47, 35, 53, 45, 63, 163, 124, 257, 30, 17, 85, 32, 223, 90,
          0,
        ],
      ],
      ends: [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28],
      pair: [86, 259, 265, 70],
      decoded: "Hello, Wörld! it's  the end.",
    },
  ],
  [
    'BERT whose vocabulary lacks tokens',
    'vocab.txt',
    [],
    { 'config.json': { model_type: 'bert' }, 'tokenizer_config.json': { mask_token: '<mask>', cls_token: '<begin>' } },
    {
      length: 802,
      special: [0, 1, 3, 800, 801],
      ids: [
        [800, 412, 402, 251, 13, 55, 401, 442, 5, 450, 9, 51, 394, 760, 247, 15, 3],
        [800, 33, 34, 801, 30, 779, 269, 31, 1, 27, 16, 51, 1, 56, 27, 1, 760, 247, 251, 744, 248, 272, 246, 1, 1, 3],
      ],
      ends: [0, 2, 4, 5, 6, 8, 10, 12, 13, 16, 17, 18, 23, 26, 27, 28, 0],
      pair: [800, 394, 3, 760, 247, 3],
      decoded: "hello, world! it ' s the end.",
    },
  ],
])('%s', async (_, kind, added, said, expected) => {
  const tokenizer = await AutoTokenizer.from_pretrained(write({ ...lists(kind, added), ...said }));
  const encoded = texts.map((text) => tokenizer.encode(text));
  const [first] = encoded;
  expect({
    length: tokenizer.length,
    special: tokenizer.all_special_ids,
    ids: encoded.map(({ input_ids }) => input_ids),
    ends: first?.offsets.map(([, end]) => end),
    pair: tokenizer.encode('the', { text_pair: 'end' }).input_ids,
    decoded: tokenizer.decode(first?.input_ids ?? [], { skip_special_tokens: true }),
  }).toEqual(expected);
});

// By the same version of transformers.
it.each([
  ['Qwen2', 'spaces before texts', { add_prefix_space: true }, [264, 223, 265, 70], [264, 223, 265, 70]],
  [
    'CodeGen',
    'tokens around texts',
    { add_bos_token: true, add_eos_token: true },
    [384, 86, 259, 223, 265, 70, 384],
    [384, 86, 259, 384, 384, 265, 70, 384],
  ],
])('%s with %s', async (name, _, settings, ids, pair) => {
  const config = { tokenizer_class: `${name}Tokenizer`, bos_token: '<s>', eos_token: '<s>', ...settings };
  const folder = write({ ...lists('vocab.json', ['<s>']), 'tokenizer_config.json': config });
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  expect(tokenizer.encode('the end').input_ids).toEqual(ids);
  expect(tokenizer.encode('the', { text_pair: 'end' }).input_ids).toEqual(pair);
});

it('lines of vocab.txt end where those of Windows do, and of words that are there twice the later counts', async () => {
  const { 'vocab.txt': words = '' } = lists('vocab.txt', []);
  const bert = { 'config.json': { model_type: 'bert' } };
  const plain = await AutoTokenizer.from_pretrained(write({ ...bert, 'vocab.txt': words }));
  const windows = await AutoTokenizer.from_pretrained(write({ ...bert, 'vocab.txt': words.replaceAll('\n', '\r\n') }));
  expect(windows.get_vocab()).toEqual(plain.get_vocab());
  const doubled = await AutoTokenizer.from_pretrained(write({ ...bert, 'vocab.txt': `${words}the\n\nnew \n` }));
  expect(doubled.encode('the new', { add_special_tokens: false }).input_ids).toEqual([800, 802]);
});

it('are saved with a model, and opened again', async () => {
  using folder = sentenceFolder('bert', lists('vocab.txt', []));
  rmSync(join(folder.path, 'tokenizer.json'));
  rmSync(join(folder.path, 'tokenizer_config.json'));
  await using model = await AutoModel.from_pretrained(folder.path);
  await model.save_pretrained(join(folder.path, 'saved'));
  const [text = ''] = texts;
  const [before, after] = [folder.path, join(folder.path, 'saved')].map(
    async (source) => (await AutoTokenizer.from_pretrained(source)).encode(text).input_ids,
  );
  expect(await after).toEqual(await before);
});
