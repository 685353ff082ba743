import { type Benchmark, benchmark, type Measure } from './benchmark';
import { type Command, type ParsedArguments, UsageError } from './command';
import { Interrupt } from './interrupt';
import { CACHE_OPTIONS, loadOptions, MODEL_OPTIONS } from './model_options';
import { ProgressBar, ProgressLine } from './progress';
import { formatBytes, formatCount, type Terminal, table } from './terminal';

const DEFAULT_ROUNDS = 5;
const MOST_ROUNDS = 1000;
const MOST_PROMPT_TOKENS = 2 ** 24;

export const bench: Command = {
  name: 'bench',
  operands: '',
  summary: 'how fast a model runs on this machine, and how far from its limits',
  description:
    'Measures a model: of decoders reading a prompt of 512 tokens (--prompts) and making 64 for 1, 8 and 32 sequences; of encoders 32 sequences of 128\n' +
    'tokens, and 32 of 8 to 256; time to load, and memory. Rates are tokens/s of all sequences, median (least to most) of the rounds. Decoding\n' +
    'reads every matrix for each token: its fraction of the memory bandwidth, measured in the same run, tells what is left.',
  options: {
    ...MODEL_OPTIONS,
    ...CACHE_OPTIONS,
    rounds: {
      kind: 'integer',
      placeholder: 'N',
      help: `times that everything is measured (default ${DEFAULT_ROUNDS})`,
    },
    prompts: {
      kind: 'text',
      placeholder: 'N,...',
      help: 'tokens of the prompts that decoders read (default 512); long ones show what attention costs',
    },
    json: { kind: 'flag', help: 'print JSON' },
  },
  examples: [
    'octoformer bench -m HuggingFaceTB/SmolLM2-135M-Instruct --quantization int8',
    'octoformer bench -m HuggingFaceTB/SmolLM2-135M-Instruct --quantization int8 --prompts 512,2048,8192 --rounds 1',
    'octoformer bench -m sentence-transformers/all-MiniLM-L6-v2 --threads 1 --rounds 11 --json',
  ],
  run: runBench,
};

async function runBench(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  if (given.operands.length > 0) throw new UsageError(`bench takes no operand, but got '${given.operands[0]}'`);
  const rounds = given.number('rounds') ?? DEFAULT_ROUNDS;
  if (rounds < 1 || rounds > MOST_ROUNDS) throw new UsageError(`--rounds must be 1 to ${MOST_ROUNDS}, not ${rounds}`);
  const prompts = promptsOf(given);
  using interrupt = new Interrupt();
  const progress = new ProgressBar(terminal);
  const line = new ProgressLine(terminal);
  let result: Benchmark;
  try {
    result = await benchmark(source, {
      rounds,
      ...(prompts ? { prompts } : {}),
      load: { ...loadOptions(given), onProgress: progress.update },
      signal: interrupt.signal,
      onMeasure(name, round) {
        progress.clear();
        line.show(round === 0 ? `Warming up: ${name}` : `Round ${round} of ${rounds}: ${name}`);
      },
    });
  } finally {
    progress.clear();
    line.clear();
  }
  if (given.flag('json')) {
    await terminal.json({ model: source, quantization: given.text('quantization') ?? null, rounds, ...result });
  } else {
    await terminal.line(describe(result));
  }
}

function promptsOf(given: ParsedArguments): number[] | undefined {
  return given
    .text('prompts')
    ?.split(',')
    .map((text) => {
      const tokens = Number(text);
      if (Number.isInteger(tokens) && tokens >= 1 && tokens <= MOST_PROMPT_TOKENS) return tokens;
      throw new UsageError(
        `--prompts takes numbers of tokens from 1 to ${MOST_PROMPT_TOKENS} with commas between, not '${text}'`,
      );
    });
}

function describe(result: Benchmark): string {
  const { cpu, isa, threads, memory_bytes_per_second: memory, measures } = result;
  return [
    `${cpu}, ${isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'}; memory gives ${formatBytes(memory)}/s`,
    '',
    table(
      [
        ['measured', 'sequences', 'tokens of each', 'tokens/s', '(least to most)', 'of the memory'],
        ...measures.map(describeMeasure),
      ],
      [1, 2, 3, 4, 5],
    ),
    '',
    `loaded in ${result.load_seconds.toFixed(2)} s | weights ${formatBytes(result.weight_bytes)} | model ${formatBytes(result.model_bytes)} | ` +
      `peak memory of the process ${formatBytes(result.peak_memory)}`,
  ].join('\n');
}

function describeMeasure({ name, sequences, tokens, new_tokens, ...found }: Measure): string[] {
  const { median, least, most } = found.tokens_per_second;
  const fraction = found.fraction_of_memory;
  return [
    name,
    String(sequences),
    new_tokens > 0 ? `${tokens} + ${new_tokens}` : `${name === 'ragged' ? 'up to ' : ''}${tokens}`,
    rateText(median),
    `(${rateText(least)} to ${rateText(most)})`,
    fraction === undefined ? '' : `${(100 * fraction).toFixed(0)} %`,
  ];
}

const rateText = (rate: number) => (rate < 100 ? rate.toFixed(1) : formatCount(Math.round(rate)));
