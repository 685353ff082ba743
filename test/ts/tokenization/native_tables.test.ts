// Vocabularies and merges that the addon read give the tokenizer that the whole files, read as JSON, give.
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeAddon } from '../../../ts/binding/load';
import { AutoTokenizer } from '../../../ts/models/auto_tokenizer';
import { MergeTable, TokenTable, tokenizerFromGguf } from '../../../ts/tokenization';
import { failures } from '../goldens/comparison';
import { compareTokenizer, type GoldenTokenizer, readJson, readTokenizer } from '../goldens/tokenizer';
import { goldensFolder } from '../goldens_folder';

const fixtures = join(__dirname, '..', '..', 'fixtures', 'tokenizers');
const goldens = join(goldensFolder() ?? '', 'tokenizers');
const folders = [fixtures, ...(goldensFolder() !== null && existsSync(goldens) ? [goldens] : [])].flatMap((folder) =>
  readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => existsSync(join(path, 'tokenizer.json'))),
);

test.each(folders)('%s', async (folder) => {
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  expect(failures(compareTokenizer(tokenizer, readJson(folder, 'golden.json') as GoldenTokenizer))).toEqual([]);
  const whole = readTokenizer(folder);
  expect(tokenizer.get_vocab()).toEqual(whole.get_vocab());
  expect([tokenizer.length, tokenizer.vocab_size]).toEqual([whole.length, whole.vocab_size]);
});

it('are read of byte pair encoding and of WordPiece', async () => {
  const kinds = new Set<string>();
  for (const folder of folders) {
    const read = await nativeAddon().readTokenizerFile(join(folder, 'tokenizer.json'));
    const { model } = readJson(folder, 'tokenizer.json') as { model: { type: string; merges?: unknown[] } };
    if (!read) continue;
    kinds.add(model.type);
    const { text, ends, slots, merges, mergeSlots } = read.tables;
    expect(merges.length).toBe(3 * (model.merges?.length ?? 0));
    // What the addon filled is what JavaScript fills.
    expect(slots).toEqual(new TokenTable(text, ends).slots);
    expect(mergeSlots).toEqual(new MergeTable(merges).slots);
  }
  expect([...kinds].sort()).toEqual(expect.arrayContaining(['BPE', 'WordPiece']));
});

it.each([
  ['{"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}', 'the id 0 belongs to both "a" and "b"'],
  ['{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}', 'needs the token "ab"'],
  ['{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},}', 'no valid JSON'],
  ['{"model":{"type":"BPE","vocab":{"a":0}}}', 'merges'],
])('a file that is damaged has the error that reading it as JSON has: %s', async (text, message) => {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-'));
  writeFileSync(join(folder, 'tokenizer.json'), text);
  await expect(AutoTokenizer.from_pretrained(folder)).rejects.toMatchObject({
    code: 'INVALID_TOKENIZER',
    message: expect.stringContaining(message),
  });
});

it("GGUF's metadata gives the same with and without", () => {
  const tokens = ['a', 'b', 'Ġ', 'ab', 'Ġab', '<|end|>'];
  const metadata = {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': [1, 1, 1, 1, 1, 3],
    'tokenizer.ggml.merges': ['a b', 'Ġ ab'],
    'tokenizer.ggml.eos_token_id': 5,
  };
  const merges = Int32Array.of(0, 1, 3, 2, 3, 4);
  const native = {
    text: tokens.join(''),
    ends: Uint32Array.of(1, 2, 3, 5, 8, 15),
    slots: TokenTable.of(tokens).slots,
    merges,
    mergeSlots: new MergeTable(merges).slots,
  };
  const [without, having] = [tokenizerFromGguf(metadata), tokenizerFromGguf(metadata, native)];
  expect(having.encode('ab ab b<|end|>').input_ids).toEqual([3, 4, 2, 1, 5]);
  expect(having.encode('ab ab b<|end|>')).toEqual(without.encode('ab ab b<|end|>'));
  expect(having.get_vocab()).toEqual(without.get_vocab());
  expect(having.eos_token).toBe('<|end|>');
});
