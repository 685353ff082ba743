import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from '../../../ts';
import { FakeHub } from '../hub/fake_hub';
import { modulesJson, poolingJson, sentenceFolder } from '../pipelines/sentence_folder';
import { fixture, runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const text = 'The earth was light.';
const bert = fixture('models', 'bert');
const cls = poolingJson('cls_token');

async function embed(given: readonly string[], environment: Record<string, string> = {}): Promise<number[]> {
  const { status, stdout, stderr } = await runCli(['embed', '--json', ...given, text], { environment });
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as number[];
}

/** The vector of a text's first token, and the same over its length. */
async function firstRow(): Promise<{ row: readonly number[]; unit: readonly number[] }> {
  await using extract = await pipeline('feature-extraction', bert);
  const [row = []] = await extract(text);
  // Lengths are rounded to float32 after the division.
  return { row, unit: row.map((value) => expect.closeTo(value / Math.hypot(...row), 6)) };
}

test("embed does as sentence-transformers' files say, unless it is told otherwise", async () => {
  const { row, unit } = await firstRow();
  const modules = modulesJson('Transformer', 'Pooling', 'Normalize');
  using normalized = sentenceFolder('bert', { 'modules.json': modules, '1_Pooling/config.json': cls });
  expect(await embed(['-m', normalized.path])).toEqual(unit);
  expect(await embed(['-m', normalized.path, '--no-normalize'])).toEqual(row);
  expect(await embed(['-m', normalized.path, '--pooling', 'mean'])).toEqual(await embed(['-m', bert]));

  const plain = modulesJson('Transformer', 'Pooling');
  using unnormalized = sentenceFolder('bert', { 'modules.json': plain, '1_Pooling/config.json': cls });
  expect(await embed(['-m', unnormalized.path])).toEqual(row);
  expect(await embed(['-m', unnormalized.path, '--normalize'])).toEqual(unit);
  expect(await embed(['-m', unnormalized.path, '--pooling', 'cls'])).toEqual(unit);
});

test('embed puts the prompt of the files, or its own, before texts', async () => {
  const config = JSON.stringify({ prompts: { query: 'light of the ' }, default_prompt_name: 'query' });
  using folder = sentenceFolder('bert', {
    'modules.json': modulesJson('Transformer', 'Pooling', 'Normalize'),
    '1_Pooling/config.json': cls,
    'config_sentence_transformers.json': config,
  });
  await using extract = await pipeline('feature-extraction', bert, { pooling: 'cls', normalize: true });
  const [prompted, plain] = await extract([`light of the ${text}`, text]);
  expect(await embed(['-m', folder.path])).toEqual(prompted);
  expect(await embed(['-m', folder.path, '--prompt-name', 'document'])).toEqual(plain);
  expect(await embed(['-m', bert, '--pooling', 'cls', '--prompt', 'light of the '])).toEqual(prompted);
  const wrong = await runCli(['embed', '-m', folder.path, '--prompt-name', 'qery', text]);
  expect([wrong.status, wrong.stderr]).toEqual([
    1,
    expect.stringContaining("no prompt 'qery'; it has query, document"),
  ]);
});

test('embed refuses modules that it can not do before it loads anything, and both answers at once', async () => {
  using folder = sentenceFolder('bert', { 'modules.json': modulesJson('Transformer', 'Pooling', 'Dense') });
  rmSync(join(folder.path, 'model.safetensors'));
  const refused = await runCli(['embed', '-m', folder.path, text]);
  expect([refused.status, refused.stdout]).toEqual([1, '']);
  expect(refused.stderr).toMatch(
    /^error: pipeline\('feature-extraction'\): .*models\.Dense'.*give 'pooling'.*\[UNSUPPORTED_OPTION\]\n$/,
  );
  const both = await runCli(['embed', '-m', bert, '--normalize', '--no-normalize', text]);
  expect([both.status, both.stderr]).toEqual([2, expect.stringContaining('exclude one another')]);
});

describe('of a hub id', () => {
  let hub: FakeHub;
  let home: string;

  beforeEach(async () => {
    hub = new FakeHub();
    for (const name of readdirSync(bert)) hub.add(name, readFileSync(join(bert, name)), name.endsWith('.safetensors'));
    await hub.start();
    home = mkdtempSync(join(tmpdir(), 'octoformer-cli-'));
  });

  afterEach(async () => {
    await hub.stop();
    rmSync(home, { recursive: true, force: true });
  });

  test('the files are fetched with the model, and are there offline and when the hub is gone', async () => {
    hub.add('modules.json', modulesJson('Transformer', 'Pooling'));
    hub.add('1_Pooling/config.json', cls);
    hub.add('2_Dense/config.json', 'never fetched');
    const { row } = await firstRow();
    const online = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '0' };
    expect(await embed(['-m', hub.id], online)).toEqual(row);
    expect(hub.hubRequests.some(({ path }) => path.includes('2_Dense'))).toBe(false);
    hub.forgetRequests();
    expect(await embed(['-m', hub.id], { ...online, HF_HUB_OFFLINE: '1' })).toEqual(row);
    expect(hub.hubRequests).toEqual([]);
    expect(await embed(['-m', hub.id], { ...online, HF_ENDPOINT: 'http://127.0.0.1:1' })).toEqual(row);
  });

  test('a repository without them has the mean', async () => {
    const online = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '0' };
    const mean = await embed(['-m', bert]);
    expect(await embed(['-m', hub.id], online)).toEqual(mean);
    expect(await embed(['-m', hub.id], { ...online, HF_HUB_OFFLINE: '1' })).toEqual(mean);
  });

  test('a cache that does not tell whether there are any is refused offline, unless the pooling is given', async () => {
    hub.add('modules.json', modulesJson('Transformer', 'Pooling'));
    hub.add('1_Pooling/config.json', cls);
    const online = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '0' };
    const mean = await embed(['-m', hub.id, '--pooling', 'mean'], online); // which fetches the model only
    const offline = { ...online, HF_HUB_OFFLINE: '1' };
    expect(await embed(['-m', hub.id, '--pooling', 'mean'], offline)).toEqual(mean);
    for (const [given, file] of [
      [[], 'modules.json'],
      [['--pooling', 'mean', '--prompt-name', 'query'], 'config_sentence_transformers.json'],
    ] as const) {
      const { status, stderr } = await runCli(['embed', '-m', hub.id, ...given, text], { environment: offline });
      expect(status).toBe(1);
      expect(stderr).toContain(`the cache does not tell whether ${hub.id} has a ${file}`);
      expect(stderr).toMatch(/'pooling', 'prompt'.*\[OFFLINE\]\n$/);
    }
  });

  test('what modules.json names but the repository lacks is told', async () => {
    hub.add('modules.json', modulesJson('Transformer', 'Pooling'));
    const environment = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '0' };
    const { status, stderr } = await runCli(['embed', '-m', hub.id, text], { environment });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /1_Pooling\/config\.json, named by modules\.json, is not in .*give 'pooling'.*\[NOT_FOUND\]\n$/,
    );
  });
});
