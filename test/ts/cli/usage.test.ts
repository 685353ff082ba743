import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fixture, runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const chatModel = fixture('models', 'llama-chat');

test('help for all and for each command goes to stdout', async () => {
  const { status, stdout, stderr } = await runCli(['--help']);
  expect([status, stderr]).toEqual([0, '']);
  const encoders = ['embed', 'classify', 'fill-mask', 'ner', 'qa', 'zero-shot'];
  const commands = ['generate', 'chat', 'perplexity', 'inspect', 'tokenize', 'info'];
  for (const name of [...commands, ...encoders]) expect(stdout).toContain(`\n  ${name} `);
  for (const name of [...commands, 'qa']) {
    const help = await runCli([name, '--help']);
    expect([help.status, help.stderr]).toEqual([0, '']);
    expect(help.stdout).toContain(`Usage: octoformer ${name}`);
    expect(help.stdout).toContain('Options:');
    expect((await runCli(['help', name])).stdout).toBe(help.stdout);
  }
});

test('the help of generate lists what it takes', async () => {
  const { stdout } = await runCli(['generate', '-h']);
  const options =
    '--model --revision --gguf-file --dtype --quantization --kv-cache --device --threads --isa --packed-cache --no-packed-cache --max-new-tokens --temperature --top-p --top-k ' +
    '--min-p --repetition-penalty --seed --num-beams --system --stats --json --raw --chat --help';
  for (const option of options.split(' ')) expect(stdout).toMatch(new RegExp(`${option}\\b`));
});

test('the help of qa lists what it takes', async () => {
  const { stdout } = await runCli(['qa', '-h']);
  for (const option of ['--model', '--context', '--top-k', '--batch-size', '--json']) expect(stdout).toContain(option);
});

test('the version is that of the package', async () => {
  const manifest = readFileSync(path.join(__dirname, '..', '..', '..', 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  expect(await runCli(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
});

test.each<[string, string[], string]>([
  ['no command', [], 'a command is missing'],
  ['a misspelt command', ['genrate', 'x'], "unknown command 'genrate'; did you mean 'generate'?"],
  ['a foreign command', ['xyzzy'], "unknown command 'xyzzy'; there are generate, chat"],
  ['an option for a command', ['--model', 'x'], "unknown option '--model'"],
  ['a misspelt option', ['generate', '--max-tokens', '3'], '--max-tokens; did you mean --max-new-tokens?'],
  ['the underscore spelling', ['generate', '--top_p', '1'], '--top_p; did you mean --top-p?'],
  ['a foreign option', ['info', '--xyzzy'], 'unknown option --xyzzy'],
  ['a foreign short option', ['info', '-z'], 'unknown option -z'],
  ['a value for a flag', ['info', '--json=yes'], "--json takes no value, but got 'yes'"],
  ['no value', ['generate', '--model'], '--model needs a value'],
  ['an option for a value', ['generate', '--model', '--json'], '--model needs a value'],
  ['a word for a number', ['generate', '--temperature', 'hot'], "--temperature takes a number, not 'hot'"],
  [
    'a fraction for a count',
    ['generate', '--max-new-tokens', '1.5'],
    "--max-new-tokens takes a whole number, not '1.5'",
  ],
  ['no model', ['generate', 'Hello'], '--model is missing'],
  ['no source', ['inspect'], 'SOURCE is missing'],
  ['two sources', ['inspect', 'a', 'b'], 'one SOURCE'],
  ['an operand too many', ['info', 'x'], "takes no operand, but got 'x'"],
  ['--raw with --chat', ['generate', '-m', chatModel, '--raw', '--chat', 'x'], '--raw and --chat'],
  ['--raw with --system', ['generate', '-m', chatModel, '--raw', '--system', 's', 'x'], '--system'],
])('%s is wrong usage', async (_what, given, message) => {
  const { status, stdout, stderr } = await runCli(given);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^error: .*\nSee 'octoformer .*--help'\.\n$/);
  expect(stderr).toContain(message);
});

test.each<[string, string[], string[]]>([
  ['no such folder', ['inspect', './no-such-folder'], ['no-such-folder', '[NOT_FOUND]']],
  [
    'not in the cache',
    ['tokenize', '-m', 'owner/no-such-model', 'x'],
    ['owner/no-such-model', 'HF_HUB_OFFLINE', '[OFFLINE]'],
  ],
  ['no model at all', ['chat', '-m', '../a:b'], ['../a:b', '[INVALID_ARGUMENT]']],
  ['no beam at all', ['generate', '-m', chatModel, '--num-beams', '0', 'x'], ['num_beams', '[INVALID_ARGUMENT]']],
  ['a value out of range', ['generate', '-m', chatModel, '--top-p', '2', 'x'], ['top_p', '[INVALID_ARGUMENT]']],
  [
    'a foreign dtype',
    ['generate', '-m', chatModel, '--dtype', 'float23', 'x'],
    ['float23', 'float32', '[INVALID_ARGUMENT]'],
  ],
  ['no GPU', ['generate', '-m', chatModel, '--device', 'cuda', 'x'], ['cuda', '[DEVICE_UNAVAILABLE]']],
])('%s: a message with its code, exit code 1, no stack', async (_what, given, texts) => {
  const { status, stdout, stderr } = await runCli(given);
  expect([status, stdout]).toEqual([1, '']);
  for (const text of texts) expect(stderr).toContain(text);
  expect(stderr).toMatch(/^error: /);
  expect(stderr).not.toMatch(/^ +at /m);
});

test('OCTOFORMER_DEBUG shows the stack', async () => {
  const { status, stderr } = await runCli(['inspect', './no-such-folder'], { environment: { OCTOFORMER_DEBUG: '1' } });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^ +at /m);
});
