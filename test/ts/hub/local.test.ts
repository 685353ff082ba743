import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OctoformerErrorCode } from '../../../ts/binding/error';
import { type ResolveOptions, resolveModelFiles } from '../../../ts/hub';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octoformer-local-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(...names: string[]): void {
  for (const name of names) writeFileSync(join(folder, name), '{}');
}

function putIndex(index: unknown): void {
  writeFileSync(
    join(folder, 'model.safetensors.index.json'),
    typeof index === 'string' ? index : JSON.stringify(index),
  );
}

async function expectFailure(source: string, options: ResolveOptions, code: OctoformerErrorCode, ...texts: string[]) {
  await expect(resolveModelFiles(source, options)).rejects.toMatchObject({ name: 'OctoformerError', code });
  for (const text of texts) {
    await expect(resolveModelFiles(source, options)).rejects.toThrow(text);
  }
}

test('a folder as save_pretrained writes it', async () => {
  put('config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'chat_template.jinja');
  expect(await resolveModelFiles(folder)).toEqual({
    kind: 'folder',
    folder,
    config: join(folder, 'config.json'),
    generationConfig: join(folder, 'generation_config.json'),
    weights: [join(folder, 'model.safetensors')],
    tokenizerFiles: {},
  });
  expect(await resolveModelFiles(folder, { what: 'tokenizer' })).toEqual({
    kind: 'folder',
    folder,
    config: join(folder, 'config.json'),
    weights: [],
    tokenizerFiles: { tokenizer: join(folder, 'tokenizer.json'), chatTemplate: join(folder, 'chat_template.jinja') },
  });
});

test('the single file wins over shards, safetensors over GGUF, and gguf_file over both', async () => {
  put('config.json', 'model.safetensors', 'model.Q8_0.gguf');
  putIndex('not even JSON');
  expect((await resolveModelFiles(folder)).weights).toEqual([join(folder, 'model.safetensors')]);
  const gguf = join(folder, 'model.Q8_0.gguf');
  expect(await resolveModelFiles(folder, { gguf_file: 'model.Q8_0.gguf' })).toEqual({
    kind: 'gguf',
    folder,
    weights: [gguf],
    tokenizerFiles: {},
    gguf,
  });
});

test('shards are sorted, each once', async () => {
  put('config.json', 'b.safetensors', 'a.safetensors');
  putIndex({ weight_map: { x: 'b.safetensors', y: 'a.safetensors', z: 'b.safetensors' } });
  expect((await resolveModelFiles(folder)).weights).toEqual([
    join(folder, 'a.safetensors'),
    join(folder, 'b.safetensors'),
  ]);
});

test('missing shards are named', async () => {
  put('config.json', 'a.safetensors');
  putIndex({ weight_map: { x: 'a.safetensors', y: 'b.safetensors', z: 'c.safetensors' } });
  await expectFailure(folder, {}, 'NOT_FOUND', "'b.safetensors', 'c.safetensors'", folder);
});

test.each<[string, unknown, string]>([
  ['text', '{"weight_map": ', 'no valid JSON'],
  ['a list', [], 'weight_map'],
  ['no map', { metadata: {} }, 'weight_map'],
  ['a list as map', { weight_map: ['a.safetensors'] }, 'weight_map'],
  ['an empty map', { weight_map: {} }, 'names no tensors'],
  ['a number as file', { weight_map: { x: 3 } }, "'x' to '3'"],
  ['a parent folder', { weight_map: { x: '../a.safetensors' } }, "'../a.safetensors'"],
  ['an inner parent folder', { weight_map: { x: 'b/../../a.safetensors' } }, 'a.safetensors'],
  ['an absolute path', { weight_map: { x: '/a.safetensors' } }, "'/a.safetensors'"],
  ['a Windows path', { weight_map: { x: '..\\a.safetensors' } }, 'a.safetensors'],
  ['a drive', { weight_map: { x: 'c:a.safetensors' } }, "'c:a.safetensors'"],
  ['a NUL', { weight_map: { x: 'a\0.safetensors' } }, "'a\\x00.safetensors'"],
  ['a pickle', { weight_map: { x: 'a.bin' } }, "'a.bin'"],
])('an index with %s is refused', async (_what, index, text) => {
  put('config.json', 'a.safetensors');
  putIndex(index);
  await expectFailure(folder, {}, 'INVALID_CHECKPOINT', text, 'model.safetensors.index.json');
});

test('what is missing is named, with what is there and what to do', async () => {
  await expectFailure(folder, {}, 'NOT_FOUND', 'no weights', folder, 'it holds no files');
  put('pytorch_model.bin');
  await expectFailure(folder, {}, 'NOT_FOUND', "'pytorch_model.bin'", 'pickle', 'save_pretrained');
  put('model.safetensors');
  await expectFailure(folder, {}, 'NOT_FOUND', 'config.json', folder);
  await expectFailure(folder, { what: 'tokenizer' }, 'NOT_FOUND', 'tokenizer.json', 'save_pretrained');
});

test('a link to nothing, as a cut download leaves it, is no file', async () => {
  put('config.json');
  symlinkSync(join(folder, 'blobs-that-is-gone'), join(folder, 'model.safetensors'));
  await expectFailure(folder, {}, 'NOT_FOUND', 'no weights');
});

test('a GGUF file, alone or split', async () => {
  put('one.gguf', 'big-00001-of-00002.gguf', 'big-00002-of-00002.gguf', 'cut-00001-of-00002.gguf');
  const one = join(folder, 'one.gguf');
  expect((await resolveModelFiles(one)).weights).toEqual([one]);
  const big = await resolveModelFiles(join(folder, 'big-00001-of-00002.gguf'));
  expect(big.weights).toEqual([join(folder, 'big-00001-of-00002.gguf'), join(folder, 'big-00002-of-00002.gguf')]);
  expect(big.gguf).toBe(big.weights[0]);
  await expectFailure(join(folder, 'cut-00001-of-00002.gguf'), {}, 'NOT_FOUND', "'cut-00002-of-00002.gguf'");
  await expectFailure(folder, {}, 'NOT_FOUND', 'gguf_file', "'big-00001-of-00002.gguf'", "'one.gguf'");
  await expectFailure(folder, { gguf_file: '../one.gguf' }, 'INVALID_ARGUMENT', "'../one.gguf'");
});

test('other files are no source', async () => {
  put('model.safetensors');
  await expectFailure(join(folder, 'model.safetensors'), {}, 'INVALID_ARGUMENT', 'no .gguf', 'folder');
});

test.each<[string, OctoformerErrorCode]>([
  ['', 'INVALID_ARGUMENT'],
  ['../octoformer-no-such', 'INVALID_ARGUMENT'],
  ['owner/../../etc', 'INVALID_ARGUMENT'],
  ['owner/na\0me', 'INVALID_ARGUMENT'],
  ['owner/name/more', 'INVALID_ARGUMENT'],
  ['owner/name.git', 'INVALID_ARGUMENT'],
  ['owner/na--me', 'INVALID_ARGUMENT'],
  ['owner/-name', 'INVALID_ARGUMENT'],
  ['owner/name?x=1', 'INVALID_ARGUMENT'],
  ['öwner/name', 'INVALID_ARGUMENT'],
  [`owner/${'x'.repeat(97)}`, 'INVALID_ARGUMENT'],
  ['x'.repeat(100_000), 'INVALID_ARGUMENT'],
  ['/octoformer/no/such/folder', 'NOT_FOUND'],
  ['./octoformer-no-such', 'NOT_FOUND'],
  ['octoformer-no-such.gguf', 'NOT_FOUND'],
])('source %j', async (source, code) => {
  // Nothing here may ask a hub: an address that nobody answers would give NETWORK.
  await expectFailure(source, { environment: { HF_ENDPOINT: 'http://127.0.0.1:1', HF_HOME: folder } }, code);
});

test.each(['', '../main', 'a/../b', 'a..b', '/main', 'main/', 'a\0b', 'a b', 'x'.repeat(256)])(
  'revision %j',
  async (revision) => {
    const environment = { HF_ENDPOINT: 'http://127.0.0.1:1', HF_HOME: folder };
    await expectFailure('owner/name', { revision, environment }, 'INVALID_ARGUMENT', 'revision');
  },
);

test('a folder named like a hub id wins over the hub, and ~ is the home folder', async () => {
  mkdirSync(join(folder, 'owner', 'name'), { recursive: true });
  const before = process.cwd();
  process.chdir(folder);
  try {
    await expectFailure('owner/name', {}, 'NOT_FOUND', join('owner', 'name'));
  } finally {
    process.chdir(before);
  }
  await expectFailure('~/octoformer-no-such', {}, 'NOT_FOUND', homedir());
});
