import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readJsonObject } from '../../../ts/models/json_file';
import { rejection } from '../failure';

const folder = mkdtempSync(join(tmpdir(), 'octoformer-json-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, 'config.json');
  writeFileSync(path, text);
  return path;
}

it('reads what Python writes, infinities and all, but leaves texts alone', async () => {
  const text = '{"a": Infinity, "b": [-Infinity,\n  NaN ], "c": "x: NaN, y", "d": 1e-6}';
  expect(await readJsonObject(file(text))).toEqual({ a: null, b: [null, null], c: 'x: NaN, y', d: 1e-6 });
});

it.each(['', '{', '[]', 'null', '"x"', '{"a": NaN'])('%j is refused', async (text) => {
  const error = await rejection(readJsonObject(file(text)));
  expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining('config.json')]);
});

it('a long run of spaces or quotes takes no long time, and a huge file is not read', async () => {
  for (const long of [' '.repeat(5e6), '"\\"'.repeat(2e6)]) {
    expect((await rejection(readJsonObject(file(`{"a": ${long}`)))).code).toBe('INVALID_CHECKPOINT');
  }
  const path = file('{}');
  truncateSync(path, 33 * 1024 * 1024);
  const error = await rejection(readJsonObject(path));
  expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining('34603008 bytes')]);
});

it('a missing file is NOT_FOUND', async () => {
  expect((await rejection(readJsonObject(join(folder, 'nothing.json')))).code).toBe('NOT_FOUND');
});
