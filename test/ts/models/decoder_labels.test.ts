import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  AutoTokenizer,
  type LoadOptions,
  pipeline,
} from '../../../ts';
import { inspectCheckpoint } from '../../../ts/models/inspect';
import { rejection } from '../failure';
import { compareTensor, failures } from '../goldens/comparison';
import { safetensorsBytes } from '../random_checkpoint';
import { checkpointFolders, readGolden, readJson } from './golden_folder';
import { tensorsOf } from './stored_tensors';

/** What scripts/fixtures/decoder_labels.py writes: of each model how Python's classes are called, and the labels of `single`. */
interface Goldens {
  readonly padded: { readonly pad_token_id: number; readonly input_ids: number[][]; readonly logits: number[][] };
  readonly models: Readonly<Record<string, readonly [name: string, ...labels: number[]]>>;
}

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const goldens = readJson<Goldens>(join(models, 'decoder_labels.json'));
const goldenOf = (name: string) => goldens.models[name] ?? [''];
const onlySequences = ['gemma3', 'gptj', 'hunyuan_v1_dense', 'olmo', 'olmo2', 'olmo3', 'opt'];
const folders = new Map(checkpointFolders(models).map((folder) => [basename(folder), folder]));
const folderOf = (name: string) => folders.get(name) ?? join(models, name); // llama-chat has other results
const ofTokens = (name: string) =>
  ['bloom', 'falcon', 'gpt2', 'gpt_neo', 'gpt_neox'].includes(name) ? 'classifier' : 'score';

// The numbers that the script gives the layer: exact in every form of floats.
const labels = 2;
const weightOf = (features: number) =>
  Float32Array.from(
    { length: labels * features },
    (_, i) => (((31 * Math.floor(i / features) + 17 * (i % features)) % 13) - 6) / 16,
  );
const bias = Float32Array.from({ length: labels }, (_, label) => (label + 1) / 4);

/** A copy of a fixture with a layer for labels in place of the one for tokens. */
async function withLabels<T>(
  name: string,
  suffix: 'ForSequenceClassification' | 'ForTokenClassification',
  use: (folder: string) => Promise<T>,
  changes: object = {},
): Promise<T> {
  const copy = mkdtempSync(join(tmpdir(), 'octoformer-labels-'));
  try {
    cpSync(folderOf(name), copy, { recursive: true, filter: (file) => !/safetensors/.test(file) });
    const tensors = await tensorsOf(folderOf(name));
    const config = readJson<object>(join(folderOf(name), 'config.json'));
    const { word_embed_proj_dim, hidden_size, n_embd } = config as Readonly<Record<string, number | undefined>>;
    const features = word_embed_proj_dim ?? hidden_size ?? n_embd ?? 0;
    const layer = suffix === 'ForTokenClassification' ? ofTokens(name) : 'score';
    const heads = ['lm_head.weight', 'lm_head.bias', 'embed_out.weight'];
    const kept = tensors.filter((one) => !heads.includes(one.name));
    const added = [{ name: `${layer}.weight`, shape: [labels, features], data: weightOf(features) }];
    if (suffix === 'ForTokenClassification') added.push({ name: `${layer}.bias`, shape: [labels], data: bias });
    writeFileSync(join(copy, 'model.safetensors'), safetensorsBytes([...kept, ...added]));
    const named = { architectures: [`${goldenOf(name)[0]}${suffix}`], num_labels: labels, ...changes };
    writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...config, ...named }));
    return await use(copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

const single = (name: string) => readGolden(folderOf(name)).single.input_ids;

/** Within the tolerance of the goldens (scripts/fixtures/README.md), and the 5 decimals that are written. */
function differences(where: string, found: Float32Array | undefined, expected: readonly number[]): string[] {
  const golden = { data: Float32Array.from(expected), shape: [expected.length] };
  const tensor = found && { data: found, dims: [found.length] };
  return failures([compareTensor(where, tensor, golden)]);
}

it.each(Object.keys(goldens.models))('%s gives a sequence the labels that Python gives it', async (name) => {
  const [family, ...expected] = goldenOf(name);
  await withLabels(
    name,
    'ForSequenceClassification',
    async (folder) => {
      await using model = await AutoModelForSequenceClassification.from_pretrained(folder);
      const other = [4, 6];
      const { logits } = await model.forward({ input_ids: [other, [...single(name)]] });
      expect(logits.map(({ dims }) => dims)).toEqual([[labels], [labels]]);
      expect(differences(name, logits[1]?.data, expected)).toEqual([]);
      const alone = await model.forward({ input_ids: [other] });
      expect(alone.logits[0]).toEqual(logits[0]);
      expect(await inspectCheckpoint(folder)).toMatchObject({
        task: 'sequence-classification',
        architecture: `${family}ForSequenceClassification`,
      });
      expect(model.module('score').parameters).toMatchObject([{ name: 'weight', shape: [labels, expect.any(Number)] }]);
    },
    { pad_token_id: null },
  );
});

it.each(Object.keys(goldens.models).filter((name) => !onlySequences.includes(name)))(
  '%s gives each token its labels',
  async (name) => {
    const [, ...expected] = goldenOf(name);
    const ids = [...single(name)];
    await withLabels(name, 'ForTokenClassification', async (folder) => {
      await using model = await AutoModelForTokenClassification.from_pretrained(folder);
      const { logits, last_hidden_state } = await model.forward({ input_ids: [ids, [4]] });
      expect(logits.map(({ dims }) => dims)).toEqual([
        [ids.length, labels],
        [1, labels],
      ]);
      const shifted = expected.map((value, label) => value + (bias[label] ?? 0));
      expect(differences('last token', logits[0]?.data.slice(-labels), shifted)).toEqual([]);

      const { data, dims } = last_hidden_state[0] ?? { data: new Float32Array(), dims: [] };
      const [, features = 0] = dims;
      const weight = weightOf(features);
      const computed = ids.flatMap((_, token) =>
        Array.from(bias, (shift, label) => {
          const row = data.subarray(token * features, (token + 1) * features);
          return row.reduce((sum, value, k) => sum + value * (weight[label * features + k] ?? 0), shift);
        }),
      );
      expect(differences('all tokens', logits[0]?.data, computed)).toEqual([]);
      const chosen = await model.forward({ input_ids: [ids], logits_at: [[2, 0]] });
      const two = [4, 5, 0, 1].map((index) => logits[0]?.data[index]);
      expect([...(chosen.logits[0]?.data ?? [])]).toEqual(two);
    });
  },
);

it.each([...onlySequences, 'cohere', 'granite'])('%s has no class for labels of tokens, as in Python', async (name) => {
  const error = await rejection(AutoModelForTokenClassification.from_pretrained(folderOf(name)));
  expect([error.code, error.message]).toEqual(['UNSUPPORTED_ARCHITECTURE', expect.stringContaining('causal-lm')]);
});

it('a file that names no label is refused', async () => {
  const open = (folder: string) => AutoModelForSequenceClassification.from_pretrained(folder);
  const error = await rejection(withLabels('arcee', 'ForSequenceClassification', open, { id2label: {} }));
  expect(`${error.code} ${error.message}`).toMatch(/^INVALID_CHECKPOINT .*'id2label'/);
});

it('a checkpoint without such a layer is refused by its name', async () => {
  const error = await rejection(AutoModelForSequenceClassification.from_pretrained(join(models, 'llama')));
  expect([error.code, error.message]).toEqual(['MISSING_WEIGHT', expect.stringContaining('score.weight')]);
});

describe('the token that a label is read from', () => {
  const { pad_token_id, input_ids, logits: expected } = goldens.padded;
  const llama = (use: (folder: string) => Promise<void>, padding: number | null = pad_token_id) =>
    withLabels('llama', 'ForSequenceClassification', use, { pad_token_id: padding });

  it('is the last one that is no padding, or the first where all are', async () => {
    await llama(async (folder) => {
      await using model = await AutoModelForSequenceClassification.from_pretrained(folder);
      const { logits } = await model.forward({ input_ids });
      for (const [index, row] of expected.entries()) {
        expect(differences(`sequence ${index}`, logits[index]?.data, row)).toEqual([]);
      }
    });
  });

  it('is the last one where there is no padding token', async () => {
    await llama(async (folder) => {
      await using model = await AutoModelForSequenceClassification.from_pretrained(folder);
      const [first = []] = input_ids;
      const { logits } = await model.forward({ input_ids: [first] });
      await using base = await AutoModel.from_pretrained(folder);
      const { last_hidden_state } = await base.forward({ input_ids: [first] });
      const state = last_hidden_state[0]?.data.slice(-(last_hidden_state[0].dims[1] ?? 0)) ?? new Float32Array();
      const weight = weightOf(state.length);
      const products = [0, 1].map((label) =>
        state.reduce((sum, value, k) => sum + value * (weight[label * state.length + k] ?? 0), 0),
      );
      expect(differences('last token', logits[0]?.data, products)).toEqual([]);
    }, null);
  });

  it('is not looked for where an attention mask tells of padding, nor is a cache in its way', async () => {
    await llama(async (folder) => {
      await using model = await AutoModelForSequenceClassification.from_pretrained(folder);
      const ids = [5, 9, 7, 4, 8];
      const { logits } = await model.forward({ input_ids: [ids] });
      const padded = await model.forward({ input_ids: [[...ids, 6, 6]], attention_mask: [[1, 1, 1, 1, 1, 0, 0]] });
      expect(padded.logits).toEqual(logits);
      const { past = [] } = await model.forward({ input_ids: [ids.slice(0, 3)], use_cache: true });
      const [cache] = past;
      const next = await model.forward({ input_ids: [ids.slice(3)], ...(cache ? { past: cache } : {}) });
      expect(next.logits).toEqual(logits);
      cache?.dispose();
    });
  });

  it.each([
    [{ logits_at: [[0]] }, 'UNSUPPORTED_OPTION', 'each token a label'],
    [{ logits_to_keep: 1 }, 'UNSUPPORTED_OPTION', 'language models'],
  ])('is not to be chosen: %j', async (more, code, part) => {
    await llama(async (folder) => {
      await using model = await AutoModelForSequenceClassification.from_pretrained(folder);
      const error = await rejection(model.forward({ input_ids: [[5]], ...more }));
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
    });
  });
});

describe('in other forms', () => {
  it.each<LoadOptions>([
    { quantization: 'int8' },
    { quantization: 'llm.int8' },
    { quantization: 'int8-weight-only' },
    { quantization_config: { load_in_8bit: true } },
  ])('%j leaves the layer in float', async (options) => {
    await withLabels('llama-chat', 'ForSequenceClassification', async (folder) => {
      await using model = await AutoModelForSequenceClassification.from_pretrained(folder, options);
      const [score] = model.module('score').parameters;
      const [projection] = model.module('model.layers.0.mlp.down_proj').parameters;
      expect([score?.form, projection?.form]).toEqual(['float32', 'int8']);
    });
  });

  it('is written and opened again, in int8, too', async () => {
    await withLabels('llama-chat', 'ForSequenceClassification', async (folder) => {
      for (const options of [{}, { quantization: 'int8' }] as const) {
        await using model = await AutoModelForSequenceClassification.from_pretrained(folder, options);
        const target = join(folder, `saved${Object.keys(options).length}`);
        await model.save_pretrained(target);
        const config = readJson<object>(join(target, 'config.json'));
        expect(config).toMatchObject({ architectures: ['LlamaForSequenceClassification'] });
        await using again = await AutoModelForSequenceClassification.from_pretrained(target);
        const inputs = { input_ids: [[5, 9, 30, 7]] };
        expect((await again.forward(inputs)).logits).toEqual((await model.forward(inputs)).logits);
      }
    });
  });
});

it('text-classification tells a text its labels', async () => {
  const id2label = { 0: 'bad', 1: 'good' };
  await withLabels(
    'llama-chat',
    'ForSequenceClassification',
    async (folder) => {
      await using classify = await pipeline('text-classification', folder);
      const text = 'Once upon a time';
      const found = await classify(text, { top_k: null, function_to_apply: 'none' });
      await using model = await AutoModelForSequenceClassification.from_pretrained(folder);
      const tokenizer = await AutoTokenizer.from_pretrained(folder);
      const { logits } = await model.forward({ input_ids: [tokenizer.encode(text).input_ids] });
      const [bad = 0, good = 0] = logits[0]?.data ?? [];
      expect(new Map(found.map(({ label, score }) => [label, score]))).toEqual(
        new Map([
          ['bad', bad],
          ['good', good],
        ]),
      );
      const [best] = await classify(text);
      expect(best?.label).toBe(good > bad ? 'good' : 'bad');
      expect(best?.score).toBeCloseTo(1 / (1 + Math.exp(-Math.abs(good - bad))), 6);
    },
    { id2label },
  );
});

it('a tied language model in the same folder opens as such, too', async () => {
  await withLabels('gpt2', 'ForSequenceClassification', async (folder) => {
    await using model = await AutoModelForCausalLM.from_pretrained(folder);
    await using original = await AutoModelForCausalLM.from_pretrained(join(models, 'gpt2'));
    const inputs = { input_ids: [[5, 6, 7]] };
    expect((await model.forward(inputs)).logits).toEqual((await original.forward(inputs)).logits);
  });
});

it('every family with such a class in Python is among them', () => {
  expect(Object.keys(goldens.models)).toHaveLength(32);
});
