import { AutoModelForCausalLM, AutoTokenizer, evaluate } from '../../../ts';
import { fixture, runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const model = fixture('models', 'llama-chat');
const input = 'It is a truth universally acknowledged, that a single man must be in want of a wife.';

interface Report {
  readonly scored_tokens: number;
  readonly rows: readonly {
    readonly scheme: string;
    readonly perplexity: number;
    readonly change_percent: number | null;
    readonly standard_error_percent: number | null;
    readonly weight_bytes: number;
  }[];
}

test('schemes are compared with the float model', async () => {
  const given = ['perplexity', '-m', model, '--dtype', 'float32', '--schemes', 'llm.int8,absmax', '--window', '16'];
  const { status, stdout, stderr } = await runCli([...given, '--json'], { input });
  expect([status, stderr]).toEqual([0, '']);
  const { scored_tokens, rows } = JSON.parse(stdout) as Report;
  expect(rows.map(({ scheme }) => scheme)).toEqual(['none', 'llm.int8', 'absmax']);

  const tokenizer = await AutoTokenizer.from_pretrained(model);
  const found: number[] = [];
  for (const quantization of ['none', 'llm.int8', 'absmax'] as const) {
    await using opened = await AutoModelForCausalLM.from_pretrained(model, { dtype: 'float32', quantization });
    const result = await evaluate.perplexity(opened, tokenizer, input, { window: 16 });
    found.push(result.perplexity);
    expect(scored_tokens).toBe(result.negativeLogLikelihoods.length);
  }
  expect(rows.map(({ perplexity }) => perplexity)).toEqual(found);
  const [base, ...others] = rows;
  expect(base?.change_percent).toBeNull();
  for (const { perplexity, change_percent, weight_bytes } of others) {
    // exp of the mean difference is the quotient of the perplexities.
    expect(change_percent).toBeCloseTo(100 * (perplexity / (base?.perplexity ?? 0) - 1), 8);
    expect(weight_bytes).toBeLessThan(base?.weight_bytes ?? 0);
  }

  const shown = await runCli(given, { input });
  expect(shown.stdout.split('\n')[0]).toMatch(/^scheme +perplexity +change +weights +time$/);
});

test('the cache is compared with float too', async () => {
  const given = ['perplexity', '-m', model, '--dtype', 'float32', '--json', '--kv-cache', 'int8'];
  const compared = await runCli([...given, '--schemes', 'none,int8'], { input });
  const { rows } = JSON.parse(compared.stdout) as Report;
  expect(rows.map(({ scheme }) => scheme)).toEqual(['none', 'none, int8 cache', 'int8, int8 cache']);
  expect(rows[1]?.change_percent).not.toBe(0);
  expect(rows[1]?.weight_bytes).toBe(rows[0]?.weight_bytes);
  const alone = JSON.parse((await runCli(given, { input })).stdout) as Report;
  expect(alone.rows.map(({ scheme, perplexity }) => [scheme, perplexity])).toEqual([
    ['as stored, int8 cache', rows[1]?.perplexity],
  ]);
});

test('a scheme takes options', async () => {
  const options = 'llm.int8:threshold=1:outliers=column:outlierWeights=float32:skipModules=q_proj+mlp.down_proj';
  const given = ['perplexity', '-m', model, '--dtype', 'float32', '--window', '16', '--json'];
  const { status, stdout, stderr } = await runCli([...given, '--schemes', options], { input });
  expect([status, stderr]).toEqual([0, '']);
  const row = (JSON.parse(stdout) as Report).rows[1];
  const tokenizer = await AutoTokenizer.from_pretrained(model);
  await using opened = await AutoModelForCausalLM.from_pretrained(model, {
    dtype: 'float32',
    quantization: {
      scheme: 'llm.int8',
      threshold: 1,
      outliers: 'column',
      outlierWeights: 'float32',
      skipModules: ['q_proj', 'mlp.down_proj'],
    },
  });
  const { perplexity } = await evaluate.perplexity(opened, tokenizer, input, { window: 16 });
  expect([row?.scheme, row?.perplexity]).toEqual([options, perplexity]);
  expect(row?.standard_error_percent).toBeGreaterThan(0);
});

test.each<[string[], number, string]>([
  [['--kv-cache', 'int4'], 1, 'kvCache'],
  [['--schemes', 'llm.int4'], 1, "did you mean 'llm.int8'"],
  [['--schemes', 'int8,,absmax'], 2, '--schemes'],
  [['--schemes', 'int8:threshold'], 2, "'threshold' of the scheme"],
  [['--schemes', 'int8:treshold=3'], 1, "did you mean 'threshold'"],
  [['--quantization', 'llm.int8:outliers=row'], 1, 'token, column, whole-column'],
  [['--schemes', 'int8', '--quantization', 'int8'], 2, 'exclude'],
  [['no-such-file.txt'], 1, '[NOT_FOUND]'],
  [['one.txt', 'two.txt'], 2, 'two.txt'],
])('%j is refused', async (given, status, text) => {
  const result = await runCli(['perplexity', '-m', model, ...given], { input });
  expect([result.status, result.stdout]).toEqual([status, '']);
  expect(result.stderr).toContain(text);
});

test('generate takes --quantization', async () => {
  const given = ['generate', '-m', model, '--raw', '--temperature', '0', '--max-new-tokens', '5', 'Once'];
  expect((await runCli([...given, '--quantization', 'llm.int8'])).status).toBe(0);
  const wrong = await runCli([...given, '--quantization', 'int4']);
  expect([wrong.status, wrong.stderr]).toEqual([1, expect.stringContaining('[UNKNOWN_OPTION]')]);
});
