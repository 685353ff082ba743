import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { OctoformerError, type OctoformerErrorCode } from '../../../ts/binding/error';
import { type ResolveOptions, type ResolveProgress, resolveModelFiles } from '../../../ts/hub';
import { FakeHub } from './fake_hub';

const WEIGHTS = Buffer.alloc(300_007, 'the quick brown fox; ');
let hub: FakeHub;
let home: string;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'octoformer-hub-'));
  hub = new FakeHub();
  hub.add('config.json', '{"model_type":"llama"}');
  hub.add('generation_config.json', '{}');
  hub.add('tokenizer.json', '{"version":"1.0"}');
  hub.add('tokenizer_config.json', '{}');
  hub.add('model.safetensors', WEIGHTS, true);
  hub.add('pytorch_model.bin', 'never fetched', true);
  hub.add('README.md', 'never fetched');
  await hub.start();
});

afterEach(async () => {
  await hub.stop();
  rmSync(home, { recursive: true, force: true });
});

function resolve(options: ResolveOptions & { token?: string; offline?: boolean; id?: string } = {}) {
  const { token, offline, id, ...others } = options;
  return resolveModelFiles(id ?? hub.id, {
    environment: {
      HF_HOME: home,
      HF_ENDPOINT: hub.endpoint,
      ...(token === undefined ? {} : { HF_TOKEN: token }),
      ...(offline ? { HF_HUB_OFFLINE: '1' } : {}),
    },
    retries: { attempts: 3, delayMs: 1 },
    ...others,
  });
}

async function failure(promise: Promise<unknown>): Promise<OctoformerError> {
  const error: unknown = await promise.then(
    () => 'no error',
    (reason: unknown) => reason,
  );
  if (!OctoformerError.is(error)) throw new Error(`expected an OctoformerError, got ${String(error)}`);
  return error;
}

async function expectFailure(promise: Promise<unknown>, code: OctoformerErrorCode, ...texts: string[]) {
  const error = await failure(promise);
  expect(error.code).toBe(code);
  for (const text of texts) expect(error.message).toContain(text);
}

const storage = () => join(home, 'hub', 'models--owner--tiny-model');

function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

test('a fresh download gives the files and leaves the cache as huggingface_hub lays it out', async () => {
  const files = await resolve();
  const snapshot = join(storage(), 'snapshots', hub.commit);
  expect(files).toEqual({
    kind: 'folder',
    folder: snapshot,
    config: join(snapshot, 'config.json'),
    generationConfig: join(snapshot, 'generation_config.json'),
    weights: [join(snapshot, 'model.safetensors')],
    tokenizerFiles: {},
    commit: hub.commit,
  });
  expect(readFileSync(join(snapshot, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
  const names = ['config.json', 'generation_config.json', 'model.safetensors'];
  expect(tree(join(home, 'hub'))).toEqual(
    [
      ...names.map((name) => `models--owner--tiny-model/blobs/${hub.etag(name)}`),
      `models--owner--tiny-model/.no_exist/${hub.commit}/modules.json`,
      'models--owner--tiny-model/refs/main',
      ...names.map((name) => `models--owner--tiny-model/snapshots/${hub.commit}/${name}`),
    ].sort(),
  );
  expect(readFileSync(join(storage(), 'refs', 'main'), 'utf8')).toBe(hub.commit);
  for (const name of names) {
    expect(lstatSync(join(snapshot, name)).isSymbolicLink()).toBe(true);
    expect(readlinkSync(join(snapshot, name))).toBe(join('..', '..', 'blobs', hub.etag(name)));
  }
});

test('SentencePiece files and vocab.json are fetched where there is no tokenizer.json', async () => {
  hub.files.delete('tokenizer.json');
  for (const name of ['source.spm', 'target.spm', 'vocab.json', 'merges.txt']) hub.add(name, name);
  const files = await resolve({ what: 'tokenizer' });
  const { sourcePieces = '', targetPieces = '', vocabulary = '' } = files.tokenizerFiles;
  expect([sourcePieces, targetPieces, vocabulary].map((path) => readFileSync(path, 'utf8'))).toEqual([
    'source.spm',
    'target.spm',
    'vocab.json',
  ]);
  expect(hub.hubRequests.some(({ path }) => path.includes('merges.txt'))).toBe(false);
  expect(await resolve({ what: 'tokenizer', offline: true })).toEqual(files);
});

test('lists of tokens are fetched where there is nothing else', async () => {
  hub.files.delete('tokenizer.json');
  for (const name of ['vocab.json', 'merges.txt']) hub.add(name, name);
  const files = await resolve({ what: 'tokenizer' });
  const { vocabulary = '', merges = '' } = files.tokenizerFiles;
  expect([vocabulary, merges].map((path) => readFileSync(path, 'utf8'))).toEqual(['vocab.json', 'merges.txt']);
  expect(await resolve({ what: 'tokenizer', offline: true })).toEqual(files);
});

test('a file that is asked for by its name is fetched alone, and where there is none that is noted', async () => {
  const name = '1_Pooling/config.json';
  await resolve();
  const lacking = await resolve({ what: { files: [name] } });
  expect(lacking).toEqual({
    kind: 'folder',
    folder: lacking.folder,
    weights: [],
    tokenizerFiles: {},
    asked: {},
    commit: hub.commit,
  });
  expect(tree(join(storage(), '.no_exist', hub.commit))).toEqual([name, 'modules.json']);
  hub.forgetRequests();
  expect(await resolve({ what: { files: [name] }, revision: hub.commit })).toEqual(lacking);
  expect(hub.hubRequests).toEqual([]); // a commit never changes

  hub.commit = 'b'.repeat(40);
  hub.add(name, '{}');
  hub.forgetRequests();
  const found = await resolve({ what: { files: [name] } });
  expect(found.asked).toEqual({ [name]: join(storage(), 'snapshots', hub.commit, '1_Pooling', 'config.json') });
  expect(readFileSync(found.asked?.[name] ?? '', 'utf8')).toBe('{}');
  expect(hub.hubRequests.filter(({ path }) => path.includes('/resolve/'))).toHaveLength(1);
  expect(hub.contentRequests).toEqual([]);
  expect(await resolve({ what: { files: [name] }, offline: true })).toEqual(found);
});

test('what the cache does not tell is unknown where the hub can not be asked', async () => {
  await resolve();
  const names = ['modules.json', 'other.json'];
  const { asked, unknown } = await resolve({ what: { files: names }, offline: true });
  expect([asked, unknown]).toEqual([{}, ['other.json']]); // any download notes that there is no modules.json
  await resolve({ what: { files: names } });
  expect(await resolve({ what: { files: names }, offline: true })).not.toHaveProperty('unknown');
});

test('the tokenizer is fetched without the weights, and what the commit lacks is noted', async () => {
  const files = await resolve({ what: 'tokenizer' });
  expect(Object.keys(files.tokenizerFiles).sort()).toEqual(['tokenizer', 'tokenizerConfig']);
  expect(files.weights).toEqual([]);
  expect(hub.contentRequests).toEqual([]);
  expect(tree(join(storage(), '.no_exist', hub.commit))).toEqual([
    'added_tokens.json',
    'chat_template.jinja',
    'chat_template.json',
    'modules.json',
    'special_tokens_map.json',
  ]);
});

test('the second time only the revision is asked for; a commit is not asked for at all', async () => {
  const first = await resolve();
  hub.forgetRequests();
  expect(await resolve()).toEqual(first);
  expect(hub.hubRequests.map((request) => request.path)).toEqual(['/api/models/owner/tiny-model/revision/main']);
  expect(hub.contentRequests).toEqual([]);
  hub.forgetRequests();
  expect(await resolve({ revision: hub.commit })).toEqual(first);
  expect(hub.hubRequests).toEqual([]);
});

test('a moved branch brings the new commit, and shares what has not changed', async () => {
  await resolve();
  hub.commit = 'b'.repeat(40);
  hub.add('config.json', '{"model_type":"qwen2"}');
  hub.forgetRequests();
  const files = await resolve();
  expect(files.commit).toBe(hub.commit);
  expect(readFileSync(files.config ?? '', 'utf8')).toContain('qwen2');
  expect(hub.contentRequests).toEqual([]); // the weights' blob is there
  expect(readFileSync(join(storage(), 'refs', 'main'), 'utf8')).toBe(hub.commit);
  expect(readdirSync(join(storage(), 'snapshots')).sort()).toEqual(['a'.repeat(40), 'b'.repeat(40)]);
});

test('a revision with a slash is one part of the address and a folder of refs', async () => {
  await resolve({ revision: 'refs/pr/1' });
  expect(hub.hubRequests[0]?.path).toBe('/api/models/owner/tiny-model/revision/refs%2Fpr%2F1');
  expect(readFileSync(join(storage(), 'refs', 'refs', 'pr', '1'), 'utf8')).toBe(hub.commit);
});

test('the token goes to the hub and not to the host it redirects to', async () => {
  await resolve({ token: 'hf_secret' });
  expect(new Set(hub.hubRequests.map((request) => request.authorization))).toEqual(new Set(['Bearer hf_secret']));
  expect(hub.contentRequests).toEqual([{ path: '/model.safetensors', authorization: undefined, range: undefined }]);
});

test('the token is read from the file that logging in leaves', async () => {
  writeFileSync(join(home, 'token'), 'hf_from_file\n');
  await resolve();
  expect(hub.hubRequests[0]?.authorization).toBe('Bearer hf_from_file');
});

test('a cut download goes on where it was cut, within one call', async () => {
  hub.fail('model.safetensors', { cutAfter: 100_000 });
  const seen: ResolveProgress[] = [];
  const files = await resolve({ onProgress: (progress) => seen.push(progress) });
  expect(readFileSync(files.weights[0] ?? '').equals(WEIGHTS)).toBe(true);
  expect(hub.contentRequests.map((request) => request.range)).toEqual([undefined, 'bytes=100000-']);
  const weights = seen.filter((progress) => progress.file === 'model.safetensors');
  const loaded = weights.map((progress) => progress.loaded);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b)); // never goes back
  expect(weights[0]).toEqual({ phase: 'download', file: 'model.safetensors', loaded: 0, total: WEIGHTS.length });
  expect(weights.at(-1)?.loaded).toBe(WEIGHTS.length);
  const last = new Map(seen.map((progress) => [progress.file, progress]));
  for (const [name, { loaded: bytes, total }] of last) {
    expect([name, bytes, total]).toEqual([name, hub.files.get(name)?.length, hub.files.get(name)?.length]);
  }
});

test('what earlier calls left is used by a later one, also where the hub sends the file itself', async () => {
  hub.add('model.safetensors', WEIGHTS, false);
  // An attempt that goes on asks twice: for the etag (and hangs up), then for the rest.
  hub.fail('model.safetensors', ...Array.from({ length: 5 }, () => ({ cutAfter: 50_000 })));
  await expectFailure(resolve(), 'NETWORK', 'model.safetensors', '3 attempts');
  const partial = `${join(storage(), 'blobs', hub.etag('model.safetensors'))}.incomplete`;
  expect(statSync(partial).size).toBe(150_000);
  hub.forgetRequests();
  const files = await resolve();
  expect(readFileSync(files.weights[0] ?? '').equals(WEIGHTS)).toBe(true);
  const ranges = hub.hubRequests.filter((request) => request.path.endsWith('model.safetensors')).map((r) => r.range);
  expect(ranges).toEqual([undefined, 'bytes=150000-']);
});

test('a whole file that only lacks its name is not fetched again', async () => {
  const blob = join(storage(), 'blobs', hub.etag('model.safetensors'));
  await mkdir(dirname(blob), { recursive: true });
  writeFileSync(`${blob}.incomplete`, WEIGHTS);
  await resolve();
  expect(hub.contentRequests).toEqual([]);
  expect(readFileSync(blob).equals(WEIGHTS)).toBe(true);
});

test.each([
  ['too long', Buffer.concat([WEIGHTS, Buffer.from('more')])],
  ['of other contents', Buffer.alloc(1000, 1)],
])('a rest %s is thrown away and the file fetched anew', async (_what, rest) => {
  const blob = join(storage(), 'blobs', hub.etag('model.safetensors'));
  await mkdir(dirname(blob), { recursive: true });
  writeFileSync(`${blob}.incomplete`, rest);
  const files = await resolve();
  expect(readFileSync(files.weights[0] ?? '').equals(WEIGHTS)).toBe(true);
});

test('contents whose SHA-256 is not the announced one are refused and not kept', async () => {
  const wrong = Buffer.from(WEIGHTS);
  wrong[12345] = (wrong[12345] ?? 0) ^ 1;
  hub.fail('model.safetensors', { body: wrong });
  await expectFailure(resolve(), 'NETWORK', 'model.safetensors', 'SHA-256', hub.etag('model.safetensors'));
  expect(
    readdirSync(join(storage(), 'blobs')).filter((name) => name.startsWith(hub.etag('model.safetensors'))),
  ).toEqual([]);
  expect(tree(storage())).not.toContain(`snapshots/${hub.commit}/model.safetensors`);
});

test('more bytes than announced are refused', async () => {
  hub.fail('model.safetensors', { body: Buffer.alloc(WEIGHTS.length + 1) });
  await expectFailure(resolve(), 'NETWORK', 'more than', String(WEIGHTS.length));
});

test('server errors are retried, then told', async () => {
  hub.fail('api', { status: 503 }, { status: 500 });
  hub.fail('model.safetensors', { status: 403 }, { status: 503 });
  await resolve();
  hub.commit = 'c'.repeat(40);
  rmSync(storage(), { recursive: true });
  hub.fail('api', { status: 503 }, { status: 503 }, { status: 503 });
  await expectFailure(resolve(), 'NETWORK', '503', '3 attempts');
});

test.each<[string, number, Record<string, string>, OctoformerErrorCode, string[]]>([
  [
    'gated',
    403,
    { 'x-error-code': 'GatedRepo', 'x-error-message': 'ask first' },
    'NETWORK',
    ['gated', 'ask first', '/owner/tiny-model'],
  ],
  [
    'private or missing',
    401,
    { 'x-error-code': 'RepoNotFound' },
    'NOT_FOUND',
    ['owner/tiny-model', 'private', 'HF_TOKEN'],
  ],
  ['missing', 404, {}, 'NOT_FOUND', ['owner/tiny-model', 'check the name']],
  ['wrong revision', 404, { 'x-error-code': 'RevisionNotFound' }, 'NOT_FOUND', ["no revision 'main'"]],
  ['wrong token', 401, { 'x-error-message': 'Invalid credentials in Authorization header' }, 'NETWORK', ['token']],
  ['forbidden', 403, {}, 'NETWORK', ['403']],
])('%s: status %i is explained', async (_what, status, headers, code, texts) => {
  hub.fail('api', { status, headers });
  await expectFailure(resolve(), code, ...texts);
  expect(hub.hubRequests).toHaveLength(1); // no use in asking again
});

test('offline: a complete cache is used without a request, an incomplete one is told', async () => {
  await expectFailure(resolve({ offline: true }), 'OFFLINE', 'HF_HUB_OFFLINE', 'owner/tiny-model', join(home, 'hub'));
  const files = await resolve();
  hub.forgetRequests();
  expect(await resolve({ offline: true })).toEqual(files);
  rmSync(join(storage(), 'blobs', hub.etag('model.safetensors'))); // the link stays and points to nothing
  await expectFailure(resolve({ offline: true }), 'OFFLINE', 'model.safetensors');
  expect(hub.hubRequests).toEqual([]);
});

test('a hub out of reach: the cache if it is complete, else an error', async () => {
  const files = await resolve();
  const dead = { environment: { HF_HOME: home, HF_ENDPOINT: 'http://127.0.0.1:1' } };
  expect(await resolve(dead)).toEqual(files);
  await expectFailure(resolve({ ...dead, what: 'tokenizer' }), 'NETWORK', '127.0.0.1:1', 'tokenizer.json');
});

test('an abort leaves what came, and no name for it; the next call goes on', async () => {
  hub.fail('model.safetensors', { hangAfter: 70_000 });
  const abort = new AbortController();
  const onProgress = ({ loaded }: ResolveProgress) => {
    if (loaded === 70_000) abort.abort();
  };
  await expectFailure(resolve({ signal: abort.signal, onProgress }), 'ABORTED', 'owner/tiny-model');
  const partial = `${join(storage(), 'blobs', hub.etag('model.safetensors'))}.incomplete`;
  expect(readFileSync(partial).equals(WEIGHTS.subarray(0, 70_000))).toBe(true);
  expect(tree(storage())).not.toContain(`snapshots/${hub.commit}/model.safetensors`);
  expect(tree(join(home, 'hub')).filter((name) => name.startsWith('.locks'))).toEqual([]);
  hub.forgetRequests();
  await resolve();
  expect(hub.contentRequests.map((request) => request.range)).toEqual(['bytes=70000-']);
  await expectFailure(resolve({ signal: AbortSignal.abort() }), 'ABORTED');
});

test('several calls at once fetch each file once', async () => {
  const results = await Promise.all([resolve(), resolve(), resolve(), resolve({ what: 'tokenizer' })]);
  expect(results[1]).toEqual(results[0]);
  expect(hub.contentRequests).toHaveLength(1);
  expect(tree(join(home, 'hub')).filter((name) => /lock|tmp|incomplete/.test(name))).toEqual([]);
});

test('shards come in order, each once; one failure ends the call and names the file', async () => {
  hub.files.delete('model.safetensors');
  const shards = [1, 2, 3, 4, 5, 6, 7].map((i) => `model-0000${i}-of-00007.safetensors`);
  for (const [i, shard] of shards.entries()) hub.add(shard, Buffer.alloc(1000 + i, i), true);
  const weight_map = Object.fromEntries([...shards].reverse().map((shard, i) => [`tensor.${i}`, shard]));
  hub.add('model.safetensors.index.json', JSON.stringify({ metadata: {}, weight_map }));
  hub.fail(shards[2] ?? '', ...Array.from({ length: 3 }, () => ({ status: 500 })));
  await expectFailure(resolve(), 'NETWORK', 'model-00003-of-00007.safetensors');
  const files = await resolve();
  expect(files.weights.map((path) => path.slice(files.folder.length + 1))).toEqual(shards);
  expect(files.weights.map((path) => statSync(path).size)).toEqual([1000, 1001, 1002, 1003, 1004, 1005, 1006]);
});

test('a repository of GGUF files: the only one is taken, of several the named one', async () => {
  for (const name of [...hub.files.keys()]) if (name !== 'README.md') hub.files.delete(name);
  hub.add('tiny-Q4_1.gguf', 'GGUF one', true);
  const files = await resolve();
  expect(files.kind).toBe('gguf');
  expect(readFileSync(files.gguf ?? '', 'utf8')).toBe('GGUF one');
  expect(files.weights).toEqual([files.gguf]);
  hub.add('tiny-Q8_0.gguf', 'GGUF two', true);
  hub.commit = 'd'.repeat(40);
  await expectFailure(resolve(), 'NOT_FOUND', 'gguf_file', 'tiny-Q4_1.gguf', 'tiny-Q8_0.gguf');
  const named = await resolve({ gguf_file: 'tiny-Q8_0.gguf', what: 'tokenizer' });
  expect(readFileSync(named.gguf ?? '', 'utf8')).toBe('GGUF two');
  await expectFailure(resolve({ gguf_file: 'tiny.gguf' }), 'NOT_FOUND', "'tiny.gguf'", 'tiny-Q4_1.gguf');
});

test('redirects within the hub, as of a renamed repository, are followed; endless and strange ones are not', async () => {
  const moved = { status: 307, headers: { location: '/api/models/owner/tiny-model/revision/main' } };
  hub.fail('api', moved);
  await resolve({ token: 'hf_secret' });
  expect(hub.hubRequests.slice(0, 2).map((request) => request.authorization)).toEqual(
    Array(2).fill('Bearer hf_secret'),
  );
  hub.commit = 'e'.repeat(40);
  rmSync(storage(), { recursive: true });
  hub.fail('api', ...Array.from({ length: 11 }, () => moved));
  await expectFailure(resolve(), 'NETWORK', 'redirects more than 10 times');
  hub.fail('api', { status: 302, headers: { location: 'ftp://example.test/x' } });
  await expectFailure(resolve(), 'NETWORK', 'ftp://example.test', 'not https');
  hub.fail('api', { status: 302, headers: { location: 'http://[' } });
  await expectFailure(resolve(), 'NETWORK', 'no address');
});

test('a hub that lies about names, commits and etags gets nowhere', async () => {
  hub.files.delete('model.safetensors');
  hub.add('../../../escape.gguf', 'x');
  await expectFailure(resolve(), 'NOT_FOUND', 'pytorch_model.bin');
  hub.fail('api', { body: Buffer.from('{"sha":"../../x","siblings":[]}') });
  await expectFailure(resolve(), 'NETWORK', 'HF_ENDPOINT');
  hub.fail('api', { body: Buffer.from('<html>') });
  await expectFailure(resolve(), 'NETWORK', 'no valid JSON');
  hub.add('model.safetensors', 'x');
  jest.spyOn(hub, 'etag').mockReturnValue('../../../evil');
  await expectFailure(resolve(), 'NETWORK', 'etag');
  expect(tree(home).filter((name) => /evil|escape/.test(name))).toEqual([]);
});
