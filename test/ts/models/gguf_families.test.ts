import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { AutoModelForCausalLM } from '../../../ts';
import { ggufBytes } from '../gguf_file';
import { failures, sameBits } from '../goldens/comparison';
import { type Case, type Config, cases } from './gguf_rules';
import { ggufTensors, metadataOf } from './gguf_writer';
import { checkpointFolders, readGolden, readJson } from './golden_folder';
import { tensorsOf } from './stored_tensors';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const folders = new Map(checkpointFolders(models).map((folder) => [basename(folder), folder]));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octoformer-gguf-families-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The checkpoint of a fixture as files can say it, and the file. */
async function written(name: string, one: Case): Promise<{ readonly source: string; readonly file: string }> {
  const source = join(folder, name);
  cpSync(folders.get(name) ?? '', source, { recursive: true });
  const config = readJson<Config>(join(source, 'config.json'));
  writeFileSync(join(source, 'config.json'), JSON.stringify({ ...config, ...one.changes?.(config) }));
  const tensors = ggufTensors(await tensorsOf(source), one, config);
  const file = join(folder, `${name}.gguf`);
  writeFileSync(file, ggufBytes(metadataOf(one, config), tensors));
  return { source, file };
}

async function logitsOf(name: string, from: string): Promise<Float32Array | undefined> {
  const input_ids = [[...readGolden(join(folder, name)).single.input_ids]];
  await using model = await AutoModelForCausalLM.from_pretrained(from, { dtype: 'float32' });
  return (await model.forward({ input_ids })).logits[0]?.data;
}

it.each(Object.entries(cases))('%s gives the logits of its safetensors', async (name, one) => {
  const { source, file } = await written(name, one);
  const [found, expected] = [await logitsOf(name, file), await logitsOf(name, source)];
  expect(failures([sameBits('logits', found, expected)])).toEqual([]);
});

it.each(Object.entries(cases))('%s is saved with the tensors of its safetensors', async (name, one) => {
  const { source, file } = await written(name, one);
  const target = join(folder, 'saved');
  await using model = await AutoModelForCausalLM.from_pretrained(file, { dtype: 'float32' });
  await model.save_pretrained(target);
  // GPT-2's fixture is a bare model.
  const nameOf = (tensor: string) => tensor.replace(/^transformer\./, '');
  const expected = new Map((await tensorsOf(source)).map((tensor) => [nameOf(tensor.name), tensor]));
  for (const saved of await tensorsOf(target)) {
    const { shape, data } = expected.get(nameOf(saved.name)) ?? {};
    expect([saved.name, saved.shape]).toEqual([saved.name, shape]);
    // 1 + w has an error of half a unit in the last place.
    const error = one.normsPlus1 && saved.name.endsWith('norm.weight') ? 2 ** -23 : 0;
    expect(largestDifference(saved.data, data)).toBeLessThanOrEqual(error);
  }
  expect(failures([sameBits('logits', await logitsOf(name, target), await logitsOf(name, file))])).toEqual([]);
});

it('saves soft caps as floats, without which Python opens no Gemma', async () => {
  const { file } = await written('gemma2', cases.gemma2 as Case);
  const target = join(folder, 'saved');
  await using model = await AutoModelForCausalLM.from_pretrained(file);
  await model.save_pretrained(target);
  const config = readFileSync(join(target, 'config.json'), 'utf8');
  expect(config).toContain('"final_logit_softcapping": 7.0');
  expect(config).toContain('"attn_logit_softcapping": 4.0');
});

function largestDifference(left: Float32Array, right: Float32Array | undefined): number {
  return left.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (right?.[index] ?? NaN))), 0);
}
