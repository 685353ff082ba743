import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { AutoModelForCausalLM, AutoTokenizer, type CausalLanguageModel, type Tokenizer, visualize } from '../../../ts';
import { tinySeq2Seq } from '../tiny_seq2seq';
import { elementById, elementsOf, parseXml, textOf } from '../visualize/xml';
import { fixture, runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const source = fixture('models', 'llama-chat');
const text = 'The cat sat on the <mat>.';
const names = ['model.layers.0.mlp', '*.q_proj.weight'];

let folder = '';
let tokenizer: Tokenizer;
let model: CausalLanguageModel;
beforeAll(async () => {
  tokenizer = await AutoTokenizer.from_pretrained(source);
  model = await AutoModelForCausalLM.from_pretrained(source);
});
afterAll(() => model.dispose());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octoformer-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** As JSON has it: typed arrays as lists. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner: unknown) => (inner instanceof Float32Array ? Array.from(inner) : inner)));

/** What a command writes into a file, and that there is nothing else afterwards. */
async function written(name: string, given: readonly string[]): Promise<string> {
  const file = join(folder, name);
  writeFileSync(file, 'an older one');
  const result = await runCli([...given, '-m', source, '-o', file]);
  expect(result).toEqual({ status: 0, stdout: '', stderr: '' });
  const content = readFileSync(file, 'utf8');
  rmSync(file);
  expect(readdirSync(folder)).toEqual([]);
  return content;
}

test.each<[string, string[], () => Promise<visualize.Visualization<unknown>>]>([
  [
    'attention',
    ['attention', '--layer', '0', '--head', '2', text],
    () => visualize.attention(model, tokenizer, text, { layer: 0, head: 2 }),
  ],
  ['weights', ['weights', ...names], () => visualize.weights(model, names)],
  [
    'outliers',
    ['outliers', '--threshold', '1.5', text],
    () => visualize.outliers(model, tokenizer, text, { threshold: 1.5 }),
  ],
  ['tokenize', ['tokenize', text], () => visualize.tokens(tokenizer, text)],
])('%s writes pictures, pages and data, and prints text without colours into pipes', async (name, given, expected) => {
  const picture = await expected();
  expect(await written('picture.svg', given)).toBe(picture.svg);
  expect(await written('PAGE.HTML', given)).toBe(picture.html);
  expect(JSON.parse(await written('data.json', given))).toEqual(plain(picture.data));
  if (name === 'tokenize') return; // prints its own lines, as commands.test.ts has them
  const printed = await runCli([...given, '-m', source]);
  expect([printed.status, printed.stdout]).toEqual([0, `${stripVTControlCharacters(picture.ansi)}\n`]);
  const json = await runCli([...given, '-m', source, '--json']);
  expect(JSON.parse(json.stdout)).toEqual(plain(picture.data));
});

test('attention of an encoder-decoder, from standard input', async () => {
  const small = await tinySeq2Seq();
  try {
    const file = join(folder, 'new', 'map.svg'); // folders that are missing are made
    const given = [
      'attention',
      '-m',
      small.folder,
      '--part',
      'cross',
      '--layer',
      '0',
      '--decoder-text',
      'a dog',
      '-o',
      file,
    ];
    const result = await runCli(given, { input: 'the cat sat' });
    expect([result.status, result.stderr]).toEqual([0, '']);
    const root = parseXml(readFileSync(file, 'utf8'));
    expect(elementsOf(root, 'title').map(textOf)).toEqual(['Attention of the decoder to the encoder']);
    const [ground] = elementsOf(elementById(root, 'attention-cells'), 'rect');
    const words = await AutoTokenizer.from_pretrained(small.folder);
    const count = (part: string, add_special_tokens: boolean) =>
      words.encode(part, { add_special_tokens }).input_ids.length;
    // The decoder's start token stands before its text.
    const [rows, columns] = [1 + count('a dog', false), count('the cat sat', true)];
    expect([ground?.attributes.width, ground?.attributes.height]).toEqual([String(columns * 22), String(rows * 22)]);
  } finally {
    small.remove();
  }
});

test('attention of an encoder, of two texts', async () => {
  const bert = fixture('models', 'bert-cls'); // is opened without its head
  const result = await runCli(['attention', '-m', bert, '--text-pair', 'the dog', '--json', 'the cat']);
  expect(result.stderr).toBe('');
  const { parts } = JSON.parse(result.stdout) as visualize.AttentionData;
  const words = await AutoTokenizer.from_pretrained(bert);
  expect(parts[0]?.keys.map(({ id }) => id)).toEqual(words.encode('the cat', { text_pair: 'the dog' }).input_ids);
});

test.each<[string[], number, string]>([
  [['attention', text], 2, '--model is missing'],
  [['attention', '-m', source, '-o', 'picture.png', text], 2, "ends in .svg, .html, .json, not 'picture.png'"],
  [['weights', '-m', source, '-o', 'picture'], 2, '--output'],
  [['outliers', '-m', source, '-o', 'x.svg', '--json', text], 2, '--json'],
  [['attention', '-m', source, '--head', 'first', text], 2, "--head takes a whole number or 'mean', not 'first'"],
  [['attention', '-m', source, '--layers', '1', text], 2, 'did you mean --layer'],
  [['outliers', '-m', source, '--threshold', 'high', text], 2, '--threshold takes a number'],
  [['attention', '-m', source, '--layer', '7', text], 1, '[INVALID_ARGUMENT]'],
  [['attention', '-m', source, '--decoder-text', 'x', text], 1, '[UNSUPPORTED_OPTION]'],
  [['attention', '-m', source, '--no-special-tokens'], 1, 'no tokens'],
  [['weights', '-m', source, 'model.layer.0'], 1, "did you mean 'model.layers.0'"],
  [['outliers', '-m', join(source, 'nowhere'), text], 1, '[NOT_FOUND]'],
])('%j is refused', async (given, status, part) => {
  const result = await runCli(given);
  expect([result.status, result.stdout]).toEqual([status, '']);
  expect(result.stderr).toContain(part);
});

test('a file that cannot be written leaves nothing behind', async () => {
  const file = join(folder, 'taken.svg');
  mkdirSync(join(file, 'inside'), { recursive: true }); // a folder of that name
  const result = await runCli(['tokenize', '-m', source, '-o', file, text]);
  expect([result.status, result.stderr]).toEqual([1, expect.stringContaining('[INVALID_ARGUMENT]')]);
  expect(readdirSync(folder)).toEqual(['taken.svg']);
});

test('help tells what they take', async () => {
  const all = await runCli(['--help']);
  for (const name of ['attention', 'weights', 'outliers']) {
    expect(all.stdout).toContain(`\n  ${name} [`);
    const { stdout } = await runCli([name, '--help']);
    for (const option of ['--model', '--quantization', '--output FILE', '--json']) expect(stdout).toContain(option);
  }
});
