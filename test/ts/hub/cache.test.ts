import { spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { homedir, hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RepositoryCache } from '../../../ts/hub/cache';
import { withLock } from '../../../ts/hub/lock';
import { hubCacheFolder, readHubSettings } from '../../../ts/hub/settings';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octoformer-cache-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('where links are refused', () => {
  const refuse = async () => {
    throw Object.assign(new Error('refused'), { code: 'EPERM', syscall: 'symlink' });
  };
  const commit = 'a'.repeat(40);

  test('a new blob is moved into the snapshot, an old one copied', async () => {
    const cache = new RepositoryCache(folder, { id: 'owner/name', revision: 'main' });
    mkdirSync(join(cache.folder, 'blobs'), { recursive: true });
    writeFileSync(cache.blobPath('e1'), 'contents');
    const copied = await cache.link('e1', commit, 'sub/one.json', false, refuse);
    expect(lstatSync(copied).isFile()).toBe(true);
    expect(readFileSync(copied, 'utf8')).toBe('contents');
    expect(readFileSync(cache.blobPath('e1'), 'utf8')).toBe('contents');
    const moved = await cache.link('e1', commit, 'two.json', true, refuse);
    expect(readFileSync(moved, 'utf8')).toBe('contents');
    expect(readdirSync(join(cache.folder, 'blobs'))).toEqual([]);
    expect(readdirSync(cache.snapshotFolder(commit)).sort()).toEqual(['sub', 'two.json']); // no temporary file left
  });

  test('a full disk is told with the folder and the remedy', async () => {
    const cache = new RepositoryCache(folder, { id: 'owner/name', revision: 'main' });
    const full = async () => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' });
    };
    await expect(cache.guard(full)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(cache.guard(full)).rejects.toThrow(new RegExp(`${folder}.*ENOSPC.*HF_HOME`));
  });
});

describe('withLock', () => {
  test('one at a time, and no file left', async () => {
    const path = join(folder, 'locks', 'x');
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await sleep(10);
      --inside;
    };
    await Promise.all([1, 2, 3].map(() => withLock(path, undefined, work)));
    expect(most).toBe(1);
    expect(readdirSync(join(folder, 'locks'))).toEqual([]);
  });

  test('the lock of a process that died is taken over, also one that has been silent for long', async () => {
    const path = join(folder, 'x');
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    writeFileSync(path, JSON.stringify({ pid, host: hostname(), id: '' }));
    expect(await withLock(path, undefined, async () => 'dead')).toBe('dead');
    writeFileSync(path, JSON.stringify({ pid: 1, host: 'another machine', id: '' }));
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(path, longAgo, longAgo);
    expect(await withLock(path, undefined, async () => 'silent')).toBe('silent');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('waiting for the lock of a live process can be aborted', async () => {
    const path = join(folder, 'x');
    const mark = JSON.stringify({ pid: process.pid, host: hostname(), id: '' });
    writeFileSync(path, mark);
    const abort = new AbortController();
    const waiting = withLock(path, abort.signal, async () => 'never');
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    expect(readFileSync(path, 'utf8')).toBe(mark);
  });

  test('a failure inside gives the lock back', async () => {
    const path = join(folder, 'x');
    const fail = async () => {
      throw new Error('inside');
    };
    await expect(withLock(path, undefined, fail)).rejects.toThrow('inside');
    expect(readdirSync(folder)).toEqual([]);
  });
});

test.each<[Record<string, string>, string]>([
  [{}, join(homedir(), '.cache/huggingface/hub')],
  [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
  [{ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }, '/h/hub'],
  [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
  [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/c' }, '/c'],
  [{ HF_HOME: '~/models' }, join(homedir(), 'models/hub')],
  [{ HF_HOME: '$DISK/a$' + '{PART}b', DISK: '/d', PART: 'p' }, '/d/apb/hub'],
])('the cache folder under %j', (environment, expected) => {
  expect(hubCacheFolder(environment)).toBe(expected);
});

test('the other settings', async () => {
  const home = { HF_HOME: folder };
  expect(await readHubSettings(home)).toEqual({
    cacheFolder: join(folder, 'hub'),
    endpoint: 'https://huggingface.co',
    token: undefined,
    offline: false,
  });
  writeFileSync(join(folder, 'token'), '  hf_file \n');
  expect((await readHubSettings(home)).token).toBe('hf_file');
  expect((await readHubSettings({ ...home, HF_TOKEN: ' hf_x\n' })).token).toBe('hf_x');
  expect((await readHubSettings({ ...home, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).token).toBeUndefined();
  expect((await readHubSettings({ ...home, HF_ENDPOINT: 'http://m.example/hub//' })).endpoint).toBe(
    'http://m.example/hub',
  );
  for (const value of ['1', 'true', 'Yes', 'ON']) {
    expect((await readHubSettings({ ...home, HF_HUB_OFFLINE: value })).offline).toBe(true);
    expect((await readHubSettings({ ...home, TRANSFORMERS_OFFLINE: value })).offline).toBe(true);
  }
  expect((await readHubSettings({ ...home, HF_HUB_OFFLINE: '0' })).offline).toBe(false);
  await expect(readHubSettings({ ...home, HF_ENDPOINT: 'hub' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(readHubSettings({ ...home, HF_ENDPOINT: 'file:///x' })).rejects.toThrow('HF_ENDPOINT');
  await expect(readHubSettings({ ...home, HF_TOKEN: 'a b\u00e9' })).rejects.toThrow('HF_TOKEN');
});
