import { info as machineInfo } from '../../../ts/binding/info';
import { AutoTokenizer } from '../../../ts/models/auto_tokenizer';
import { pipeline } from '../../../ts/pipelines/pipeline';
import { randomCheckpoint, randomLlama, writeCheckpoint } from '../random_checkpoint';
import { type CliOptions, changedModel, fixture, runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const chatModel = fixture('models', 'llama-chat');
const prompt = 'Once upon a time';

async function json<T>(given: string[], options?: CliOptions): Promise<T> {
  const { status, stdout, stderr } = await runCli([...given, '--json'], options);
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as T;
}

describe('generate', () => {
  const greedy = ['generate', '-m', chatModel, '--temperature', '0', '--max-new-tokens', '12'];

  /** The same by the library. */
  async function expected(input: string | { role: string; content: string }[]): Promise<string> {
    await using generator = await pipeline('text-generation', chatModel);
    let text = '';
    for await (const piece of generator.stream(input, { do_sample: false, max_new_tokens: 12 })) text += piece;
    return text;
  }

  test('a prompt for a chat model is a message, unless --raw says that it is text', async () => {
    const answer = await expected([{ role: 'user', content: prompt }]);
    const continuation = await expected(prompt);
    expect(answer).not.toBe(continuation);
    expect(await runCli([...greedy, prompt])).toEqual({ status: 0, stdout: `${answer}\n`, stderr: '' });
    expect((await runCli([...greedy, '--chat', prompt])).stdout).toBe(`${answer}\n`);
    expect((await runCli([...greedy, '--raw', prompt])).stdout).toBe(`${continuation}\n`);
  });

  test('the prompt can be several words, or come on standard input', async () => {
    const answer = `${await expected([{ role: 'user', content: prompt }])}\n`;
    expect((await runCli([...greedy, ...prompt.split(' ')])).stdout).toBe(answer);
    expect((await runCli(greedy, { input: `${prompt}\n` })).stdout).toBe(answer);
  });

  test('--system comes before the message', async () => {
    const system = { role: 'system', content: 'Be brief.' };
    const answer = await expected([system, { role: 'user', content: prompt }]);
    expect((await runCli([...greedy, '--system', 'Be brief.', prompt])).stdout).toBe(`${answer}\n`);
  });

  test('--num-beams searches for the likeliest text, without draws', async () => {
    await using generator = await pipeline('text-generation', chatModel);
    const [best] = await generator([{ role: 'user', content: prompt }], {
      num_beams: 3,
      do_sample: false,
      max_new_tokens: 12,
      return_full_text: false,
    });
    const found = await runCli(['generate', '-m', chatModel, '--num-beams', '3', '--max-new-tokens', '12', prompt]);
    expect(found).toEqual({ status: 0, stdout: `${best?.generated_text}\n`, stderr: '' });
  });

  test('a seed repeats the draws', async () => {
    const drawn = ['generate', '-m', chatModel, '--max-new-tokens', '12', '--temperature', '1.5', prompt, '--seed'];
    const [first, again, other] = await Promise.all(['7', '7', '8'].map((seed) => runCli([...drawn, seed])));
    expect(again).toEqual(first);
    expect(other?.stdout).not.toBe(first?.stdout);
  });

  test('JSON has text, reason and statistics; --stats alone goes to stderr', async () => {
    const answer = await expected([{ role: 'user', content: prompt }]);
    const report = await json<{ stats: Record<string, number> }>([...greedy, prompt, '--stats']);
    expect(report).toMatchObject({ generated_text: answer, finish_reason: 'length', stats: { new_tokens: 12 } });
    expect(Object.keys(report.stats).sort()).toEqual([
      'decode_tokens_per_second',
      'new_tokens',
      'peak_memory',
      'prompt_tokens',
      'prompt_tokens_per_second',
      'time_to_first_token_ms',
    ]);
    for (const value of Object.values(report.stats)) expect(value).toBeGreaterThan(0);
    const plain = await runCli([...greedy, prompt, '--stats']);
    expect(plain.stdout).toBe(`${answer}\n`);
    expect(plain.stderr).toMatch(
      /^prompt \d+ tokens \([\d.]+ tokens\/s\) \| decode 12 tokens \([\d.]+ tokens\/s\) \| time to first token [\d.]+ ms \| peak memory [\d.]+ MB\n$/,
    );
  });

  describe('without an end', () => {
    // Far more tokens than can be made before the program is stopped, and none that ends the text.
    const endless = changedModel({
      'config.json': { max_position_embeddings: 1_000_000, eos_token_id: null },
      'generation_config.json': { eos_token_id: null },
    });
    const given = ['generate', '-m', endless.folder, '--raw', '--seed', '1', '--max-new-tokens', '900000', prompt];
    afterAll(() => endless.remove());

    test('a closed pipe ends it quietly', async () => {
      const { status, stderr } = await runCli(given, { closeAfter: 10 });
      expect([status, stderr]).toEqual([0, '']);
    });

    test('Ctrl-C ends it with what came, and exit code 130', async () => {
      const { status, stdout, stderr } = await runCli(given, { interruptAfter: 10 });
      expect([status, stderr]).toEqual([130, '']);
      expect(stdout).toMatch(/.\n$/s);
    });
  });
});

describe('chat', () => {
  test('answers line by line as the library does, reading only what is new', async () => {
    await using generator = await pipeline('text-generation', chatModel);
    using session = generator.chat({ system: 'Be brief.' });
    const expected: { content: string; prompt_tokens: number | undefined }[] = [];
    for (const message of ['Hello', 'And then?']) {
      const stream = session.send(message, { do_sample: false, max_new_tokens: 8 });
      let content = '';
      for await (const piece of stream) content += piece;
      expected.push({ content, prompt_tokens: stream.statistics?.promptTokens });
    }
    const given = ['chat', '-m', chatModel, '--system', 'Be brief.', '--temperature', '0', '--max-new-tokens', '8'];
    const { status, stdout, stderr } = await runCli([...given, '--json', '--stats'], { input: 'Hello\n\nAnd then?\n' });
    expect([status, stderr]).toEqual([0, '']);
    const turns = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { content: string; stats: { prompt_tokens: number } });
    expect(turns.map(({ content, stats }) => ({ content, prompt_tokens: stats.prompt_tokens }))).toEqual(expected);
    const plain = await runCli(given, { input: 'Hello\nAnd then?' });
    expect(plain).toEqual({ status: 0, stdout: expected.map(({ content }) => `${content}\n`).join(''), stderr: '' });
  });

  test('/reset forgets, /exit leaves', async () => {
    const given = ['chat', '-m', chatModel, '--temperature', '0', '--max-new-tokens', '8'];
    const once = await runCli(given, { input: 'Hello\n' });
    const twice = await runCli(given, { input: 'Hello\n/reset\nHello\n/exit\nHello\n' });
    expect(twice).toEqual({ status: 0, stdout: once.stdout.repeat(2), stderr: '' });
  });

  test('Ctrl-C ends it between two messages too', async () => {
    const given = ['chat', '-m', chatModel, '--temperature', '0', '--max-new-tokens', '8'];
    const { stdout: answer } = await runCli(given, { input: 'Hello\n' });
    const waiting = { input: 'Hello\n', keepInputOpen: true, interruptAfter: answer.length };
    expect(await runCli(given, waiting)).toEqual({ status: 130, stdout: answer, stderr: '' });
  });

  test('a model without a chat template says so; generate goes on with the text as it stands', async () => {
    const { folder, remove } = changedModel({ 'tokenizer_config.json': { chat_template: undefined } });
    const limits = ['-m', folder, '--temperature', '0', '--max-new-tokens', '12'];
    for (const refused of [
      await runCli(['chat', ...limits], { input: 'Hello\n' }),
      await runCli(['generate', ...limits, '--chat', 'Hello']),
      await runCli(['generate', ...limits, '--system', 'Be brief.', 'Hello']),
    ]) {
      expect([refused.status, refused.stdout]).toEqual([1, '']);
      expect(refused.stderr).toMatch(/^error: .*template.* \[INVALID_ARGUMENT\]\n$/);
    }
    const plain = await runCli(['generate', ...limits, prompt]);
    expect(plain).toEqual(await runCli(['generate', ...limits, '--raw', prompt]));
    expect(plain.status).toBe(0);
    remove();
  });
});

describe('tokenize', () => {
  const text = 'héllo\tthe 🙂 end';

  test('JSON and tabs have what the library gives', async () => {
    const tokenizer = await AutoTokenizer.from_pretrained(chatModel);
    const { input_ids, tokens, offsets } = tokenizer.encode(text);
    expect(await json(['tokenize', '-m', chatModel, text])).toEqual({ input_ids, tokens, offsets });
    const { stdout } = await runCli(['tokenize', '-m', chatModel], { input: `${text}\n` });
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(rows.map(([id]) => Number(id))).toEqual(input_ids);
    expect(rows.map(([, start, end]) => [Number(start), Number(end)])).toEqual(offsets);
    expect(rows.every((row) => row.length === 4)).toBe(true);
    expect(stdout).not.toContain('\x1b');
  });

  test('--no-special-tokens leaves out what is put around a text', async () => {
    const tiny = fixture('tokenizers', 'tiny');
    const tokenizer = await AutoTokenizer.from_pretrained(tiny);
    const ids = async (...given: string[]) =>
      (await json<{ input_ids: number[] }>(['tokenize', '-m', tiny, 'the end', ...given])).input_ids;
    expect(await ids()).toEqual(tokenizer.encode('the end').input_ids);
    expect(await ids('--no-special-tokens')).toEqual(
      tokenizer.encode('the end', { add_special_tokens: false }).input_ids,
    );
  });

  test('an empty text has no tokens', async () => {
    expect(await json(['tokenize', '-m', chatModel, ''])).toEqual({ input_ids: [], tokens: [], offsets: [] });
  });
});

test('info tells what the library tells, and where the cache is', async () => {
  const environment = { HF_HOME: '/somewhere' };
  const facts = await json<Record<string, unknown>>(['info'], { environment });
  expect(facts).toMatchObject({ ...machineInfo(), cache: '/somewhere/hub', node: process.versions.node });
  expect(facts.architectures).toEqual(expect.arrayContaining(['llama', 'mistral', 'phi3', 'qwen2', 'qwen3']));
  const { stdout } = await runCli(['info'], { environment });
  for (const name of ['version', 'cpu', 'isa', 'threads', 'cuda', 'cache'])
    expect(stdout).toMatch(new RegExp(`^${name} `, 'm'));
  expect(stdout).not.toContain('\x1b');
});

describe('inspect', () => {
  interface Inspection {
    format: string;
    architecture: string;
    modules: string | null;
    parameters: number;
    bytes: number;
    dtypes: { dtype: string; tensors: number; parameters: number; bytes: number }[];
    chat_template: string | null;
    tokenizer: { vocabulary: number; special_tokens: Record<string, { token: string; id: number }> } | null;
    unsupported?: { code: string; message: string };
    tensors?: { name: string; shape: number[]; dtype: string }[];
  }

  test('a safetensors folder', async () => {
    const found = await json<Inspection>(['inspect', chatModel, '--tensors']);
    expect(found).toMatchObject({ format: 'safetensors', architecture: 'LlamaForCausalLM' });
    // The config: 2 layers, hidden 32, inner 48, 4 heads of 8, 2 for keys and values, 384 tokens, tied embeddings.
    const layer = 2 * 32 + 2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32;
    expect(found.parameters).toBe(384 * 32 + 2 * layer + 32);
    expect(found.bytes).toBe(2 * found.parameters);
    expect(found.dtypes).toEqual([{ dtype: 'BF16', tensors: 20, parameters: found.parameters, bytes: found.bytes }]);
    expect(found.modules).toContain('(q_proj): Linear(in_features=32, out_features=32, bias=False)');
    expect(found.tokenizer).toMatchObject({ vocabulary: 384, special_tokens: { eos: { token: '<|im_end|>', id: 2 } } });
    expect(found.chat_template).toContain('<|im_start|>');
    expect(found.tensors).toHaveLength(20);
    expect(found.tensors).toContainEqual(
      expect.objectContaining({ name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [384, 32] }),
    );
  });

  test('a GGUF file', async () => {
    const file = fixture('gguf', 'llama-q8_0.gguf');
    const found = await json<Inspection>(['inspect', file]);
    expect(found).toMatchObject({ format: 'gguf', architecture: 'LlamaForCausalLM' });
    // A block of Q8_0 is 32 numbers in 34 bytes.
    const [blocks] = found.dtypes;
    expect(blocks?.dtype).toBe('Q8_0');
    expect(blocks?.bytes).toBe(((blocks?.parameters ?? 0) / 32) * 34);
    expect(found.tensors).toBeUndefined();
    const { stdout } = await runCli(['inspect', '--model', file, '--tensors']);
    expect(stdout).toMatch(/^architecture +LlamaForCausalLM$/m);
    expect(stdout).toMatch(/^token_embd\.weight +Q8_0 +\[384, 32\]/m);
  });

  test('without a tokenizer, or with an unknown architecture, the rest is told', async () => {
    const checkpoint = randomCheckpoint();
    const known = await json<Inspection>(['inspect', checkpoint.folder]);
    expect(known.tokenizer).toBeNull();
    expect(known.modules).toContain('LlamaForCausalLM(');
    const plain = await runCli(['inspect', checkpoint.folder]);
    expect(plain.stdout).toContain('tokenizer.json');
    checkpoint.remove();
    const { config, tensors } = randomLlama();
    const foreign = writeCheckpoint({ ...config, model_type: 'gpt_nix', architectures: ['NixForCausalLM'] }, tensors);
    const found = await json<Inspection>(['inspect', foreign.folder]);
    expect(found).toMatchObject({ architecture: 'NixForCausalLM', modules: null });
    expect(found.unsupported?.code).toBe('UNSUPPORTED_ARCHITECTURE');
    expect(found.parameters).toBe(known.parameters);
    foreign.remove();
  });
});
