import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadOptions } from '../../../ts/models/load_options';
import { openWithTokenizer } from '../../../ts/pipelines/open_with_tokenizer';

const good = join(__dirname, '..', '..', 'fixtures', 'tokenizers', 'tiny');

/** A model that is open when the test says so. */
class Model {
  disposed = 0;
  readonly opened: [string, LoadOptions][] = [];
  end: (error?: Error) => void = () => {};

  from_pretrained(source: string, options: LoadOptions): Promise<Model> {
    this.opened.push([source, options]);
    return new Promise((resolve, reject) => {
      this.end = (error) => (error ? reject(error) : resolve(this));
    });
  }
  async dispose(): Promise<void> {
    this.disposed++;
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Until the model is being opened. */
async function opening(auto: Model): Promise<void> {
  while (auto.opened.length === 0) await turn();
}

it('gives both, and the model gets the options', async () => {
  const auto = new Model();
  const both = openWithTokenizer(good, { threads: 1, dtype: 'float32' }, auto);
  await opening(auto);
  auto.end();
  const { model, tokenizer } = await both;
  expect(model).toBe(auto);
  expect(auto.opened).toEqual([[good, { threads: 1, dtype: 'float32' }]]);
  expect(tokenizer.length).toBeGreaterThan(0);
  expect(auto.disposed).toBe(0);
});

it('a broken tokenizer is told at once, and the model is freed when it is there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-'));
  writeFileSync(join(folder, 'tokenizer.json'), '{"model":{"type":"none"}}');
  for (const error of [undefined, new Error('of the model')]) {
    const auto = new Model();
    await expect(openWithTokenizer(folder, {}, auto)).rejects.toMatchObject({ code: 'INVALID_TOKENIZER' });
    expect(auto.disposed).toBe(0);
    auto.end(error); // nobody waits for it: an unhandled rejection would end the process
    await turn();
    expect(auto.disposed).toBe(error ? 0 : 1);
  }
});

it("a model's error is told, and one of files before the model is opened", async () => {
  const auto = new Model();
  const both = openWithTokenizer(good, {}, auto);
  await opening(auto);
  auto.end(new Error('of the model'));
  await expect(both).rejects.toThrow('of the model');
  expect(auto.disposed).toBe(0);

  const unopened = new Model();
  const empty = mkdtempSync(join(tmpdir(), 'octoformer-'));
  await expect(openWithTokenizer(empty, {}, unopened)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(unopened.opened).toEqual([]);
});
