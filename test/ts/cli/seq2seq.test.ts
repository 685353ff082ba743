import { pipeline } from '../../../ts';
import { tinySeq2Seq } from '../tiny_seq2seq';
import { runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const texts = ['the earth was light.', 'god'];
let folder: string;
let remove: () => void;
beforeAll(async () => {
  ({ folder, remove } = await tinySeq2Seq({}, { tokenizer_class: 'MBartTokenizer' }));
});
afterAll(() => remove());

const languages = { src_lang: 'en_XX', tgt_lang: 'de_DE' };

it.each([
  ['translate', 'translation', ['--src-lang', 'en_XX', '--tgt-lang', 'de_DE'], languages],
  ['summarize', 'summarization', [], {}],
] as const)('%s prints what the library gives', async (command, task, given, options) => {
  await using write = await pipeline(task, folder);
  const expected: readonly object[] = await write(texts, {
    ...options,
    max_new_tokens: 6,
    num_beams: 2,
    do_sample: false,
  });
  const all = [command, '-m', folder, ...given, '--max-new-tokens', '6', '--num-beams', '2'];
  const fromArguments = await runCli([...all, '--json', ...texts]);
  expect([fromArguments.status, fromArguments.stderr]).toEqual([0, '']);
  const lines = fromArguments.stdout.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual(expected);
  const plain = await runCli([...all, '--batch-size', '1'], { input: `${texts.join('\n')}\n` });
  const shown = expected.map((one) => `${Object.values(one).join()}\n`).join('');
  expect(plain).toEqual({ status: 0, stdout: shown, stderr: '' });
});

it.each([
  [['translate', 'text'], 2, '--model is missing'],
  [['summarize', '-m', 'anywhere', '--num-beams', 'many', 'text'], 2, "--num-beams takes a whole number, not 'many'"],
  [['summarize', '-m', 'anywhere', '--src-lang', 'en', 'text'], 2, '--src-lang'],
  [['translate', '-m', './no-such-folder', 'text'], 1, '[NOT_FOUND]'],
])('%j ends with %d', async (given, expected, message) => {
  const { status, stdout, stderr } = await runCli(given);
  expect([status, stdout, stderr]).toEqual([expected, '', expect.stringContaining(message)]);
});

it('a model for several languages asks for them', async () => {
  const { status, stderr } = await runCli(['translate', '-m', folder, 'god']);
  expect([status, stderr]).toEqual([1, expect.stringContaining("option 'src_lang' must name one")]);
});
