import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoTokenizer,
  calibrate,
  type LoadOptions,
  ops,
  type Tensor,
} from '../../../ts';
import { decoderFamilies } from '../../../ts/models/decoder_families';
import { inspectCheckpoint } from '../../../ts/models/inspect';
import { rejection } from '../failure';
import { failures, sameBits } from '../goldens/comparison';
import { safetensorsBytes } from '../random_checkpoint';
import { readSafetensors } from '../safetensors';
import { GoldenFolder, modelType, openableFolders } from './golden_folder';
import { tensorsOf } from './stored_tensors';

const fixtures = join(__dirname, '..', '..', 'fixtures');
const folder = (name: string) => join(fixtures, 'models', name);
const decoders = openableFolders(join(fixtures, 'models'), 'decoder');
const inputs = { input_ids: [[3, 7, 11, 5, 2, 9], [4, 6], [8]] };
const everything = { ...inputs, output_hidden_states: true, output_attentions: true, output_router_logits: true };

/** What `forward` gives, without what only a model with a head gives. */
async function states(source: string, options: LoadOptions = {}, bare = true) {
  await using model = await (bare ? AutoModel : AutoModelForCausalLM).from_pretrained(source, options);
  const { logits: _, ...outputs } = { logits: undefined, ...(await model.forward(everything)) };
  return outputs;
}

/** A copy with other names of tensors; those without one are left out. */
async function renamed(
  name: string,
  architecture: string,
  rename: (tensor: string) => string | undefined,
): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), 'octoformer-bare-'));
  const tensors = (await tensorsOf(folder(name))).flatMap((tensor) => {
    const other = rename(tensor.name);
    return other === undefined ? [] : [{ ...tensor, name: other }];
  });
  writeFileSync(join(copy, 'model.safetensors'), safetensorsBytes(tensors));
  const config = JSON.parse(readFileSync(join(folder(name), 'config.json'), 'utf8')) as object;
  writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...config, architectures: [architecture] }));
  return copy;
}

it.each(decoders.map((source) => [new GoldenFolder(source).name, source]))(
  '%s gives the bits that it gives with its head',
  async (_, source) => {
    const bare = await states(source);
    expect(bare).toEqual(await states(source, {}, false));
    expect(bare.hidden_states?.at(-1)).toEqual(bare.last_hidden_state);
    expect(bare.hidden_states?.length).toBe((bare.attentions?.length ?? 0) + 1);
  },
);

it.each([
  ['bloom', 'transformer', 'BloomModel'],
  ['gpt_neox', 'gpt_neox', 'GPTNeoXModel'],
  ['llama', 'model', 'LlamaModel'],
  ['mixtral', 'model', 'MixtralModel'],
  ['opt', 'model', 'OPTModel'],
  ['qwen3', 'model', 'Qwen3Model'],
])('opens %s where names lack the prefix %s', async (name, prefix, architecture) => {
  const copy = await renamed(name, architecture, (tensor) =>
    tensor.startsWith(`${prefix}.`) ? tensor.slice(prefix.length + 1) : undefined,
  );
  try {
    expect(await states(copy)).toEqual(await states(folder(name)));
    expect(await inspectCheckpoint(copy)).toMatchObject({ task: 'base', architecture });
  } finally {
    rmSync(copy, { recursive: true });
  }
});

it('opens gpt2, whose names lack the prefix, where they have it', async () => {
  const copy = await renamed(
    'gpt2',
    'GPT2LMHeadModel',
    (tensor) => (tensor.endsWith('.attn.bias') ? undefined : `transformer.${tensor}`), // which is the mask, in older files
  );
  try {
    expect(await states(copy)).toEqual(await states(folder('gpt2')));
    expect(await inspectCheckpoint(copy)).toMatchObject({ task: 'causal-lm', architecture: 'GPT2LMHeadModel' });
  } finally {
    rmSync(copy, { recursive: true });
  }
});

it('last_hidden_state times the matrix of the head are the logits', async () => {
  const source = folder('llama'); // whose head is a matrix of its own
  const head = (await tensorsOf(source)).find(({ name }) => name === 'lm_head.weight');
  const [n = 0, k = 0] = head?.shape ?? [];
  await using language = await AutoModelForCausalLM.from_pretrained(source);
  const { logits } = await language.forward(inputs);
  const { last_hidden_state } = await states(source);
  const products = last_hidden_state.map((state) => {
    const [m = 0] = state.dims;
    return ops.matmul(state.data, head?.data ?? new Float32Array(), { m, n, k, transposeB: true });
  });
  const compared = products.map((product, index) => sameBits(`sequence ${index}`, product, logits[index]?.data));
  expect(failures(compared)).toEqual([]);
});

it('takes the memory of its own weights only', async () => {
  const source = folder('llama');
  const options = { dtype: 'float32', isa: 'scalar' } as const;
  await using language = await AutoModelForCausalLM.from_pretrained(source, options);
  await using bare = await AutoModel.from_pretrained(source, options);
  const [rows = 0, columns = 0] = language.module('lm_head').parameters[0]?.shape ?? [];
  expect(language.parameterCount - bare.parameterCount).toBe(rows * columns);
  const saved = language.memoryFootprint().weights - bare.memoryFootprint().weights;
  expect(saved).toBeGreaterThanOrEqual(4 * rows * columns); // packing may add rows up to a whole panel
  expect(bare.describe()).toMatch(/^LlamaModel\(\n {2}\(embed_tokens\): Embedding\(211, 40\)\n {2}\(layers\)/);
  expect(bare.describe()).toMatch(/\n {2}\(norm\): .*\n {2}\(rotary_emb\): .*\n\)$/);
  expect(bare.module('layers.0.self_attn').kind).toBe('LlamaAttention');
  const { code } = await rejection(Promise.resolve().then(() => bare.module('lm_head')));
  expect(code).toBe('NOT_FOUND');
});

describe('calls', () => {
  const rows = (tensor: Tensor | undefined, from: number) => {
    const [, width = 0] = tensor?.dims ?? [];
    return tensor?.data.subarray(from * width);
  };

  it('go on from a cache, and share what was computed', async () => {
    const [ids = []] = inputs.input_ids;
    await using model = await AutoModel.from_pretrained(folder('qwen2'));
    const { last_hidden_state: whole } = await model.forward({ input_ids: [ids] });
    const { past = [] } = await model.forward({ input_ids: [ids.slice(0, 4)], use_cache: true });
    const [cache] = past;
    using fork = cache?.fork();
    expect(cache?.length).toBe(4);
    const next = await model.forward({ input_ids: [ids.slice(4)], past });
    const same = await model.forward({ input_ids: [ids.slice(4)], ...(fork ? { past: fork } : {}) });
    const expected = rows(whole[0], 4);
    expect(failures([sameBits('next', next.last_hidden_state[0]?.data, expected)])).toEqual([]);
    expect(failures([sameBits('fork', same.last_hidden_state[0]?.data, expected)])).toEqual([]);
    cache?.dispose();
  });

  it('take padding before and behind tokens, and places, as those of a language model do', async () => {
    const padded = {
      input_ids: [
        [0, 0, 5, 6, 7],
        [5, 6, 7, 8, 0],
      ],
      attention_mask: [
        [0, 0, 1, 1, 1],
        [1, 1, 1, 1, 0],
      ],
    };
    await using model = await AutoModel.from_pretrained(folder('gpt2'));
    await using language = await AutoModelForCausalLM.from_pretrained(folder('gpt2'));
    const places = { input_ids: [[5, 6, 7]], position_ids: [[2, 3, 9]] };
    for (const one of [padded, places]) {
      const { last_hidden_state } = await model.forward(one);
      expect(last_hidden_state).toEqual((await language.forward(one)).last_hidden_state);
    }
  });

  it('tell how many tokens there may be', async () => {
    const limits = [];
    for (const name of ['gpt2', 'opt', 'llama', 'bloom']) {
      await using model = await AutoModel.from_pretrained(folder(name));
      limits.push([name, model.maxTokens, model.config.n_positions ?? model.config.max_position_embeddings]);
    }
    expect(limits).toEqual([
      ['gpt2', 64, 64],
      ['opt', 96, 96],
      ['llama', 160, 160],
      ['bloom', Number.POSITIVE_INFINITY, undefined],
    ]);
  });

  it.each([
    [{ logits_to_keep: 1 }, 'UNSUPPORTED_OPTION', 'language models'],
    [{ token_type_ids: [[0]] }, 'UNSUPPORTED_OPTION', 'token types'],
    [{ decoder_input_ids: [[0]] }, 'UNSUPPORTED_OPTION', 'second sequence'],
    [{ outputHiddenStates: true }, 'UNKNOWN_OPTION', "did you mean 'output_hidden_states'"],
    [{ past: [null, null] }, 'INVALID_ARGUMENT', 'one cache'],
    [{ input_ids: [[100_000]] }, 'INVALID_ARGUMENT', '100000'],
  ])('refuse %j', async (more, code, part) => {
    await using model = await AutoModel.from_pretrained(folder('llama'));
    const error = await rejection(model.forward({ input_ids: [[5]], ...(more as object) }));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });
});

describe('in other forms', () => {
  it.each<LoadOptions>([
    { quantization: 'int8' },
    { quantization: 'llm.int8' },
    { quantization: { scheme: 'vector-wise', skipModules: ['model.layers.0', 'down_proj'] } },
    { quantization_config: { load_in_8bit: true } },
    { dtype: 'bfloat16' },
  ])('gives the bits that it gives with its head: %j', async (options) => {
    expect(await states(folder('llama-chat'), options)).toEqual(await states(folder('llama-chat'), options, false));
  });

  it.each(['llama-f32.gguf', 'llama-q8_0.gguf'])('opens %s', async (file) => {
    const source = join(fixtures, 'gguf', file);
    expect(await states(source)).toEqual(await states(source, {}, false));
  });

  it('is written as a bare model, out of a GGUF file, too', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'octoformer-bare-'));
    try {
      for (const [index, source] of [folder('gpt2'), join(fixtures, 'gguf', 'llama-f32.gguf')].entries()) {
        const target = join(parent, String(index));
        await using model = await AutoModel.from_pretrained(source);
        await model.save_pretrained(target);
        const config = JSON.parse(readFileSync(join(target, 'config.json'), 'utf8')) as object;
        expect(config).toMatchObject({ architectures: [index === 0 ? 'GPT2Model' : 'LlamaModel'] });
        expect(await states(target)).toEqual(await states(source));
        const names = [...readSafetensors(join(target, 'model.safetensors')).keys()];
        expect(names).toContain(index === 0 ? 'wte.weight' : 'embed_tokens.weight');
        expect(names.some((name) => name.includes('lm_head'))).toBe(false);
      }
    } finally {
      rmSync(parent, { recursive: true });
    }
  });

  it('takes what a calibration with the head has noted, and the other way round', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'octoformer-bare-'));
    try {
      cpSync(folder('llama-chat'), copy, { recursive: true });
      const tokenizer = await AutoTokenizer.from_pretrained(copy);
      const options = { quantization: 'vector-wise' } as const;
      const uncalibrated = await states(copy, options);
      for (const auto of [AutoModelForCausalLM, AutoModel]) {
        await using model = await auto.from_pretrained(copy);
        const { modules } = await calibrate(model, tokenizer, ['Once upon a time'], { threshold: 1.5 });
        expect(Object.keys(modules)[0]).toMatch(auto === AutoModel ? /^layers\.0\./ : /^model\.layers\.0\./);
        const calibrated = await states(copy, options);
        expect(calibrated).not.toEqual(uncalibrated);
        expect(calibrated).toEqual(await states(copy, options, false));
      }
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});

it('every family of decoders is among them', () => {
  expect([...new Set(decoders.map(modelType))].sort()).toEqual(Object.keys(decoderFamilies).sort());
});
