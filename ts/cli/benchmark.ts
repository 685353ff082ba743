import { OctoformerError } from '../binding/error';
import { callNative, nativeAddon } from '../binding/load';
import { AutoModelForCausalLM, type CausalLanguageModel } from '../generation/auto_model';
import { AutoModelForSeq2SeqLM, type Seq2SeqLanguageModel } from '../generation/seq2seq_model';
import { AutoModel } from '../models/auto_encoders';
import { inspectCheckpoint } from '../models/inspect';
import type { LoadOptions } from '../models/load_options';

/** Tokens a second over the rounds. */
export interface Rate {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface Measure {
  readonly name: string;
  /** Sequences at once, tokens that each begins with, and tokens that are made for each (0: none). */
  readonly sequences: number;
  readonly tokens: number;
  readonly new_tokens: number;
  readonly tokens_per_second: Rate;
  /** Of decoding one sequence: bytes of the matrices that a token reads, times tokens a second, over `memory_bytes_per_second`. */
  readonly fraction_of_memory?: number;
}

export interface Benchmark {
  readonly task: 'decoder' | 'encoder' | 'encoder-decoder';
  readonly cpu: string;
  readonly isa: string;
  readonly threads: number;
  readonly memory_bytes_per_second: number;
  readonly load_seconds: number;
  readonly weight_bytes: number;
  readonly bytes_per_token: number | null;
  readonly measures: readonly Measure[];
  /** The model's matrices, cache and buffers at the end. */
  readonly model_bytes: number;
  /** Largest resident set of the process so far, without what measuring the memory takes. */
  readonly peak_memory: number;
}

export interface BenchmarkOptions {
  readonly rounds: number;
  /** Tokens of the prompts that a decoder reads, each at most what the model's positions leave; 512 by default. */
  readonly prompts?: readonly number[];
  readonly load: LoadOptions;
  readonly signal: AbortSignal;
  readonly onMeasure: (name: string, round: number) => void;
}

const defaultPrompts: readonly number[] = [512];
const shortPrompt = 16;
const newTokens = 64;
const batches = [8, 32] as const;
const equalTokens = 128;
const raggedTokens = { least: 8, most: 256 };
const encoderBatch = 32;

/** One thing to measure: `run` gives tokens a second. */
interface Task {
  readonly name: string;
  readonly sequences: number;
  readonly tokens: number;
  readonly newTokens: number;
  readonly readsAllWeightsEach: boolean;
  run(round: number): Promise<number>;
}

type Generator = CausalLanguageModel | Seq2SeqLanguageModel;

/**
 * Loads the model and measures it: every round does each task once, after one round that warms up.
 * @throws OctoformerError UNSUPPORTED_ARCHITECTURE, ABORTED, and what loading throws
 */
export async function benchmark(source: string, options: BenchmarkOptions): Promise<Benchmark> {
  const { load, signal } = options;
  const { revision, gguf_file } = load;
  const { task, obstacle } = await inspectCheckpoint(source, { revision, gguf_file, signal });
  if (task === undefined) throw obstacle ?? new OctoformerError('INTERNAL', `${source} is for nothing`);
  const begun = performance.now();
  if (task === 'causal-lm' || task === 'seq2seq-lm') {
    const opener = task === 'causal-lm' ? AutoModelForCausalLM : AutoModelForSeq2SeqLM;
    await using model = await opener.from_pretrained(source, { ...load, signal });
    const kind = task === 'causal-lm' ? 'decoder' : 'encoder-decoder';
    return await measure(
      kind,
      model,
      generationTasks(model, task === 'causal-lm' ? (options.prompts ?? defaultPrompts) : [], signal),
      begun,
      options,
    );
  }
  await using model = await AutoModel.from_pretrained(source, { ...load, signal });
  const embed = async (sequences: readonly (readonly number[])[]) => {
    const count = sequences.reduce((sum, sequence) => sum + sequence.length, 0);
    const start = performance.now();
    await model.forward({ input_ids: sequences }, { signal });
    return rate(count, performance.now() - start);
  };
  const ids = idsBelow(model.vocabularySize);
  const context = model.lengthLimits.context - specialPositions;
  const encoderTask = (name: string, most: number, lengthOf: (index: number, most: number) => number): Task => {
    const tokens = Math.min(most, context);
    return {
      name,
      sequences: encoderBatch,
      tokens,
      newTokens: 0,
      readsAllWeightsEach: false,
      run: (round) => embed(Array.from({ length: encoderBatch }, (_, i) => ids(lengthOf(i, tokens), round + i))),
    };
  };
  const tasks = [
    encoderTask('equal', equalTokens, (_, length) => length),
    encoderTask('ragged', raggedTokens.most, raggedLength),
  ];
  return await measure('encoder', model, tasks, begun, options);
}

/** RoBERTa's positions begin at 2, so that many of the configured ones are no tokens. */
const specialPositions = 2;

/** Reading of prompts (of a decoder alone), and greedy generation of 1, 8 and 32 sequences. */
function generationTasks(model: Generator, prompts: readonly number[], signal: AbortSignal): Task[] {
  const ids = idsBelow('encoderVocabularySize' in model ? model.encoderVocabularySize : model.vocabularySize);
  const { context } = model.lengthLimits;
  const made = Math.max(2, Math.min(newTokens, Math.floor(context / 2)));
  const fitting = (length: number) => Math.max(1, Math.min(length, context - made));
  const generate = async (sequences: number, length: number, count: number, round: number) => {
    const input_ids = Array.from({ length: sequences }, (_, i) => ids(length, round * sequences + i));
    const options = { max_new_tokens: count, do_sample: false, eos_token_id: null, signal };
    return (await model.generate({ input_ids }, options)).statistics;
  };
  const prefill = (length: number): Task => ({
    name: 'prefill',
    sequences: 1,
    tokens: fitting(length),
    newTokens: 0,
    readsAllWeightsEach: false,
    async run(round) {
      const statistics = await generate(1, fitting(length), 1, round);
      return rate(statistics.promptTokens, statistics.promptMilliseconds);
    },
  });
  const decode = (name: string, sequences: number): Task => ({
    name,
    sequences,
    tokens: fitting(shortPrompt),
    newTokens: made,
    readsAllWeightsEach: sequences === 1,
    async run(round) {
      const statistics = await generate(sequences, fitting(shortPrompt), made, round);
      return rate(statistics.decodeTokens, statistics.decodeMilliseconds);
    },
  });
  return [
    ...prompts.map(prefill),
    decode('decode', 1),
    ...batches.map((count) => decode(`decode ${count} sequences`, count)),
  ];
}

interface MeasuredModel {
  readonly isa: string;
  readonly threads: number;
  memoryFootprint(): { readonly weights: number; readonly total: number };
  bytesPerToken(): number | undefined;
}

async function measure(
  task: Benchmark['task'],
  model: MeasuredModel,
  tasks: readonly Task[],
  begun: number,
  { rounds, onMeasure, signal }: BenchmarkOptions,
): Promise<Benchmark> {
  const loadSeconds = (performance.now() - begun) / 1000;
  const rates = new Map<Task, number[]>(tasks.map((one) => [one, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const one of tasks) {
      onMeasure(one.name, round);
      const found = await one.run(round);
      if (round > 0) rates.get(one)?.push(found);
    }
  }
  const { weights, total } = model.memoryFootprint();
  // Before the memory is measured, which takes memory itself.
  const peak = process.resourceUsage().maxRSS * 1024; // libuv gives KiB on every system
  signal.throwIfAborted();
  const memoryRate = await callNative(() => nativeAddon().measureMemoryRate(model.threads));
  const bytesPerToken = model.bytesPerToken();
  return {
    task,
    cpu: callNative(() => nativeAddon().info()).cpu,
    isa: model.isa,
    threads: model.threads,
    memory_bytes_per_second: memoryRate,
    load_seconds: loadSeconds,
    weight_bytes: weights,
    bytes_per_token: bytesPerToken ?? null,
    measures: tasks.map((one) => {
      const found = spread(rates.get(one) ?? []);
      return {
        name: one.name,
        sequences: one.sequences,
        tokens: one.tokens,
        new_tokens: one.newTokens,
        tokens_per_second: found,
        ...(one.readsAllWeightsEach && bytesPerToken !== undefined
          ? { fraction_of_memory: (found.median * bytesPerToken) / memoryRate }
          : {}),
      };
    }),
    model_bytes: total,
    peak_memory: peak,
  };
}

/** Ids of made-up texts, others for each seed: the work does not depend on them. */
function idsBelow(vocabularySize: number): (count: number, seed: number) => number[] {
  return (count, seed) => Array.from({ length: count }, (_, i) => ((i + 1) * 7919 + seed * 104_729) % vocabularySize);
}

/** From the least to the most, in a mixed order. */
function raggedLength(index: number, most: number): number {
  const least = Math.min(raggedTokens.least, most);
  const steps = encoderBatch - 1;
  return least + Math.round((((index * 13) % encoderBatch) / steps) * (most - least)); // 13 and 32 have no common divisor
}

function rate(tokens: number, milliseconds: number): number {
  return (tokens / Math.max(milliseconds, 1e-3)) * 1000; // clocks have steps
}

function spread(values: readonly number[]): Rate {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (place: number) => sorted[place] ?? Number.NaN;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, least: at(0), most: at(sorted.length - 1) };
}
