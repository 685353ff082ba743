import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM } from '../../../ts';
import { fixture, runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const chat = fixture('models', 'llama-chat');
let parent = '';
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'octoformer-quantize-'));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

interface Report {
  readonly bytes: number;
  readonly float32_bytes: number;
  readonly modules: readonly { readonly module: string; readonly form: string; readonly error: object | null }[];
}

test('writes what from_pretrained opens, with a report', async () => {
  const out = join(parent, 'int8');
  const { status, stdout, stderr } = await runCli(['quantize', chat, out, '--json']);
  expect([status, stderr]).toEqual([0, '']);
  const report = JSON.parse(stdout) as Report;
  expect(report).toMatchObject({ source: chat, folder: out, quantization: 'llm.int8' });
  expect(report.modules.find(({ module }) => module === 'model.layers.1.mlp.down_proj')).toMatchObject({
    form: 'int8',
  });
  for (const { form, error } of report.modules) expect(error === null).toBe(form !== 'int8');
  await using model = await AutoModelForCausalLM.from_pretrained(out);
  await using direct = await AutoModelForCausalLM.from_pretrained(chat, { quantization: 'llm.int8' });
  const input_ids = [[1, 5, 9]];
  expect((await model.forward({ input_ids })).logits).toEqual((await direct.forward({ input_ids })).logits);
  expect(model.memoryFootprint().weights).toBe(report.bytes);
  const answer = await runCli(['generate', '-m', out, '--raw', '--temperature', '0', '--max-new-tokens', '3', 'Once']);
  expect(answer.status).toBe(0); // the tokenizer is there
});

test('a table of kinds of modules, or of all; a scheme with options; shards', async () => {
  const scheme = '{"scheme":"int8","skipModules":["down_proj"]}';
  const given = ['quantize', chat, join(parent, 'a'), '--quantization', scheme, '--max-shard-size', '20KB'];
  const { status, stdout } = await runCli(given);
  expect(status).toBe(0);
  const line = (name: string) => stdout.split('\n').find((one) => one.startsWith(name));
  expect(line('module')).toMatch(/^module +matrices +form +bytes +relative error +largest error$/);
  expect(line('model.layers.*.self_attn.q_proj')).toMatch(/ 2 +int8 +[\d.]+ KB +0\.\d\d %/);
  expect(line('model.layers.*.mlp.down_proj')).toMatch(/ 2 +bfloat16 +[\d.]+ KB +- +-$/);
  expect(stdout).toContain('one scale and zero point for each token');
  expect(readdirSync(join(parent, 'a')).filter((name) => name.includes('-of-')).length).toBeGreaterThan(1);
  const all = await runCli(['quantize', chat, join(parent, 'b'), '--modules']);
  expect(all.stdout).toContain('model.layers.1.self_attn.q_proj');
});

test('a GGUF file, and an encoder', async () => {
  for (const [index, source] of [fixture('gguf', 'llama-q8_0.gguf'), fixture('models', 'bert-qa')].entries()) {
    const out = join(parent, String(index));
    const { status, stderr } = await runCli(['quantize', source, out]);
    expect([status, stderr]).toEqual([0, '']);
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['config.json', 'model.safetensors']));
  }
});

test.each<[string[], number, string]>([
  [[], 2, 'SOURCE and OUT'],
  [[chat], 2, 'OUT'],
  [[chat, 'OUT', 'more'], 2, 'more'],
  [[chat, 'OUT', '--quantization', 'int4'], 1, '[UNKNOWN_OPTION]'],
  [[chat, 'OUT', '--quantization', 'none'], 2, 'none'],
  [[chat, 'OUT', '--quantization', '{"scheme":'], 2, 'JSON'],
  [[chat, 'OUT', '--quantization', 'zeropoint'], 1, '[UNSUPPORTED_OPTION]'],
  [[chat, 'OUT', '--max-shard-size', 'large'], 1, 'large'],
  [['no/such/folder/anywhere', 'OUT'], 1, 'no/such/folder'],
  [[chat, chat], 1, 'loaded from'],
])('%j is refused', async (given, status, text) => {
  const out = join(parent, 'out');
  const result = await runCli(['quantize', ...given.map((one) => (one === 'OUT' ? out : one))]);
  expect([result.status, result.stdout]).toEqual([status, '']);
  expect(result.stderr).toContain(text);
  expect(existsSync(out)).toBe(false);
});
