import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM, type CausalLanguageModel, type LoadOptions } from '../../../ts';
import { packedPlace } from '../../../ts/models/packed_cache';
import { fixture, runCli } from '../cli/run_cli';
import { rejection } from '../failure';

const llama = fixture('models', 'llama');
const prompt = { input_ids: [[1, 5, 9, 2, 7]] };

let parent = '';
let count = 0;
beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'octoformer-packed-'));
});
afterAll(() => rmSync(parent, { recursive: true, force: true }));
const newFolder = () => join(parent, String(count++));

/** Loads, lets `use` look, and disposes, which waits for the file. */
async function withModel<T>(options: LoadOptions, use: (model: CausalLanguageModel) => Promise<T>): Promise<T> {
  await using model = await AutoModelForCausalLM.from_pretrained(llama, options);
  return await use(model);
}

const logits = (model: CausalLanguageModel) => model.forward(prompt).then((outputs) => outputs.logits[0]?.data);

/** The bytes and names of all files but the notes of when they were made. */
const contents = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name)).toString('base64')]));

describe.each([{ quantization: 'int8' }, { quantization: 'llm.int8' }, { dtype: 'bfloat16' }, { dtype: 'float32' }])(
  '%j',
  (form) => {
    it('gives the same from the file as packed anew', async () => {
      const packedCache = newFolder();
      const options = { ...form, packedCache } as LoadOptions;
      const look = async (model: CausalLanguageModel) => {
        const saved = newFolder();
        await model.save_pretrained(saved);
        const weights = model.memoryFootprint().weightsByForm;
        return {
          logits: await logits(model),
          weights,
          saved: contents(saved),
          report: await model.quantizationReport(),
        };
      };
      const anew = await withModel({ ...options, packedCache: false }, look);
      expect(existsSync(packedCache)).toBe(false);
      const written = await withModel(options, look);
      const [name = '', ...others] = readdirSync(packedCache);
      expect([name, others]).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.packed$/), []]);
      const file = join(packedCache, name);
      utimesSync(file, new Date(0), new Date(0));
      const found = await withModel(options, look);
      expect(statSync(file).mtimeMs).toBeGreaterThan(0); // it was used, so it was found
      for (const result of [written, found]) {
        expect(result).toEqual(anew);
      }
    });
  },
);

it('packs again where the file is damaged, and replaces it', async () => {
  const packedCache = newFolder();
  const options = { quantization: 'int8', packedCache } as const;
  const before = await withModel(options, logits);
  const file = join(packedCache, readdirSync(packedCache)[0] ?? '');
  const whole = readFileSync(file);
  const damaged = Buffer.from(whole);
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1; // of the last section: the one before may be followed by filling
  for (const bytes of [damaged, whole.subarray(0, 100), Buffer.from('not packed weights')]) {
    writeFileSync(file, bytes);
    expect(await withModel(options, logits)).toEqual(before);
    expect(readFileSync(file).equals(whole)).toBe(true);
  }
});

it('has a file for each form', async () => {
  const packedCache = newFolder();
  for (const form of [
    {},
    { quantization: 'int8' },
    { quantization: 'int8-weight-only' },
    { dtype: 'bfloat16' },
  ] as const) {
    await withModel({ ...form, packedCache }, logits);
  }
  expect(readdirSync(packedCache)).toHaveLength(4);
});

it('does without where the folder can not be made', async () => {
  const file = newFolder();
  writeFileSync(file, '');
  expect(await withModel({ packedCache: join(file, 'below'), quantization: 'int8' }, logits)).toBeDefined();
});

it('drops the files that were used least lately beyond 8 GB, what writers left, and nothing else', async () => {
  const packedCache = newFolder();
  mkdirSync(packedCache);
  const sparse = (name: string, gigabytes: number, age: number) => {
    const file = join(packedCache, name);
    writeFileSync(file, '');
    truncateSync(file, gigabytes * 2 ** 30);
    const time = new Date(Date.now() - 1000 * age);
    utimesSync(file, time, time);
    return name;
  };
  const hex = (digit: string) => `${digit.repeat(32)}.packed`;
  const kept = [sparse(hex('a'), 5, 10), sparse('model.safetensors', 5, 9999), sparse(`${hex('b')}.12.tmp`, 1, 60)];
  const dropped = [sparse(hex('c'), 4, 20), sparse(hex('d'), 1, 30), sparse(`${hex('e')}.3.tmp`, 0, 4000)];
  await withModel({ packedCache, quantization: 'int8' }, logits);
  const names = readdirSync(packedCache);
  expect(names).toEqual(expect.arrayContaining(kept));
  for (const name of dropped) expect(names).not.toContain(name);
  expect(names).toHaveLength(kept.length + 1);
});

it('is chosen by the option, then by the environment', () => {
  const usual = { leastBytes: 32 * 2 ** 20, mostBytes: 8 * 2 ** 30 };
  const any = { leastBytes: 0, mostBytes: Number.POSITIVE_INFINITY };
  const caches = { XDG_CACHE_HOME: '/caches' };
  const ours = { folder: join('/caches', 'octoformer', 'packed'), ...usual };
  const place = (option: unknown, variable?: string) =>
    packedPlace('load()', option, {
      ...caches,
      ...(variable === undefined ? {} : { OCTOFORMER_PACKED_CACHE: variable }),
    });
  expect(place(undefined)).toEqual(ours);
  expect(place(true)).toEqual(ours);
  expect(place(true, 'off')).toEqual(ours);
  expect(place(undefined, 'off')).toBeUndefined();
  expect(place(false, '/there')).toBeUndefined();
  expect(place(undefined, '/there')).toEqual({ folder: '/there', ...any });
  expect(place('/here', 'off')).toEqual({ folder: '/here', ...any });
});

it.each([[7], [''], [null]])('packedCache: %j is refused', async (packedCache) => {
  const error = await rejection(AutoModelForCausalLM.from_pretrained(llama, { packedCache } as unknown as LoadOptions));
  expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining("'packedCache'")]);
});

it('is an option of commands', async () => {
  const packedCache = newFolder();
  const model = fixture('models', 'llama-chat');
  const generate = (...options: string[]) =>
    runCli(['generate', '--model', model, '--raw', '--max-new-tokens', '2', '--temperature', '0', ...options, 'a']);
  const plain = await generate('--no-packed-cache');
  const first = await generate('--packed-cache', packedCache);
  expect(readdirSync(packedCache)).toHaveLength(1);
  const second = await generate('--packed-cache', packedCache);
  for (const result of [first, second]) expect([result.status, result.stdout]).toEqual([0, plain.stdout]);
  expect(await generate('--no-packed-cache', '--packed-cache', packedCache)).toMatchObject({ status: 2 });
});
