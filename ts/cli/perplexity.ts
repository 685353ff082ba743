import { OctoformerError } from '../binding/error';
import { type Perplexity, perplexity as scoreText } from '../evaluate/perplexity';
import { AutoModelForCausalLM } from '../generation/auto_model';
import { readFile } from '../hub/files';
import { AutoTokenizer } from '../models/auto_tokenizer';
import type { LoadOptions } from '../models/load_options';
import type { Tokenizer } from '../tokenization';
import { type Command, type ParsedArguments, UsageError } from './command';
import { Interrupt } from './interrupt';
import { CACHE_OPTIONS, defined, loadOptions, MODEL_OPTIONS, sourceOptions, withCache } from './model_options';
import { ProgressBar } from './progress';
import { formatBytes, type Terminal, table } from './terminal';

export const perplexity: Command = {
  name: 'perplexity',
  operands: '[FILE]',
  summary: 'how well a model foretells a text, and what int8 schemes cost',
  description:
    'Scores the tokens of FILE, or of standard input, in windows that the model sees each by itself. With --schemes the model is scored in float\n' +
    'first, then in each scheme (with the --kv-cache given): its perplexity, the change (of exp of the mean loss, on the same tokens, with its paired\n' +
    'standard error), the bytes of the weights, and the time. A scheme may have options: llm.int8:outliers=column:outlierWeights=float32.',
  options: {
    ...MODEL_OPTIONS,
    ...CACHE_OPTIONS,
    window: { kind: 'integer', placeholder: 'N', help: 'tokens that the model sees at once (default 512)' },
    stride: { kind: 'integer', placeholder: 'N', help: 'tokens from a window to the next (default: the window)' },
    'max-tokens': { kind: 'integer', placeholder: 'N', help: 'only the first tokens of the text' },
    schemes: { kind: 'text', placeholder: 'LIST', help: 'schemes to compare, such as llm.int8,int8,absmax' },
    json: { kind: 'flag', help: 'print JSON' },
  },
  examples: [
    'octoformer perplexity book.txt --model HuggingFaceTB/SmolLM2-135M-Instruct --schemes vector-wise,llm.int8,int8',
    'octoformer perplexity -m model.gguf --window 2048 --stride 1024 --json < book.txt',
  ],
  run: runPerplexity,
};

/** One line of the table. */
interface Row {
  readonly scheme: string;
  readonly perplexity: number;
  /** Against the float model; null for that itself. */
  readonly change_percent: number | null;
  /** Of the change, from the spread of the differences token by token. */
  readonly standard_error_percent: number | null;
  readonly weight_bytes: number;
  readonly seconds: number;
}

type Scheme = NonNullable<LoadOptions['quantization']>;

async function runPerplexity(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  const schemes = schemesOf(given);
  const text = await readText(given, terminal);
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const tokenizer = await AutoTokenizer.from_pretrained(source, { ...sourceOptions(given), signal });
  const rows: Row[] = [];
  let base: Perplexity | undefined;
  let scored = 0;
  for (const { label, scheme } of schemes) {
    const { result, bytes, seconds } = await score(source, scheme, { given, terminal, tokenizer, text, signal });
    scored = result.negativeLogLikelihoods.length;
    rows.push({
      scheme: label,
      perplexity: result.perplexity,
      ...compare(base, result),
      weight_bytes: bytes,
      seconds,
    });
    base ??= result;
  }
  if (given.flag('json')) await terminal.json({ scored_tokens: scored, rows });
  else await terminal.line(describeRows(rows));
}

interface LabelledScheme {
  readonly label: string;
  /** Undefined: as the options and the checkpoint have it. */
  readonly scheme: Scheme | undefined;
}

/** Float first, which the others are compared with. */
function schemesOf(given: ParsedArguments): readonly LabelledScheme[] {
  const cache = given.text('kv-cache');
  const labelled = (name: string | undefined): LabelledScheme => ({
    label: `${name ?? 'as stored'}${cache === undefined ? '' : `, ${cache} cache`}`,
    scheme: withCache(name, cache) as Scheme | undefined, // from_pretrained checks it
  });
  const list = given.text('schemes');
  if (list === undefined) return [labelled(given.text('quantization'))];
  if (given.text('quantization') !== undefined) {
    throw new UsageError('--schemes and --quantization exclude one another');
  }
  const names = list.split(',').map((name) => name.trim());
  if (names.includes('')) throw new UsageError(`--schemes takes names with commas between, not '${list}'`);
  const others = new Set(cache === undefined ? names.filter((name) => name !== 'none') : names);
  return [{ label: 'none', scheme: 'none' }, ...[...others].map(labelled)];
}

async function readText(given: ParsedArguments, terminal: Terminal): Promise<string> {
  const [file, ...others] = given.operands;
  if (others.length > 0) throw new UsageError(`one FILE is scored at a time; '${others[0]}' is too many`);
  if (file === undefined) {
    if (terminal.isInteractive) throw new UsageError('FILE is missing; give its name or a text on standard input');
    return terminal.readInput();
  }
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OctoformerError('NOT_FOUND', `${file} can't be read: ${reason}`);
  }
}

interface Task {
  readonly given: ParsedArguments;
  readonly terminal: Terminal;
  readonly tokenizer: Tokenizer;
  readonly text: string;
  readonly signal: AbortSignal;
}

async function score(source: string, scheme: Scheme | undefined, task: Task) {
  const { given, terminal, tokenizer, text, signal } = task;
  const progress = new ProgressBar(terminal);
  await using model = await AutoModelForCausalLM.from_pretrained(source, {
    ...loadOptions(given),
    ...(scheme === undefined ? {} : { quantization: scheme }),
    onProgress: progress.update,
    signal,
  }).finally(() => progress.clear());
  const begun = performance.now();
  const result = await scoreText(model, tokenizer, text, {
    ...defined({
      window: given.number('window'),
      stride: given.number('stride'),
      maxTokens: given.number('max-tokens'),
    }),
    signal,
  });
  return { result, bytes: model.memoryFootprint().weights, seconds: (performance.now() - begun) / 1000 };
}

function compare(
  base: Perplexity | undefined,
  other: Perplexity,
): Pick<Row, 'change_percent' | 'standard_error_percent'> {
  if (!base) return { change_percent: null, standard_error_percent: null };
  const differences = other.negativeLogLikelihoods.map(
    (loss, place) => loss - (base.negativeLogLikelihoods[place] ?? 0),
  );
  const { length } = differences;
  const mean = differences.reduce((sum, value) => sum + value, 0) / length;
  const squares = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    change_percent: 100 * (Math.exp(mean) - 1),
    standard_error_percent: length > 1 ? 100 * Math.exp(mean) * Math.sqrt(squares / (length - 1) / length) : null,
  };
}

function describeRows(rows: readonly Row[]): string {
  return table(
    [
      ['scheme', 'perplexity', 'change', 'weights', 'time'],
      ...rows.map(({ scheme, perplexity: value, weight_bytes, seconds, ...change }) => [
        scheme,
        value.toFixed(3),
        describeChange(change),
        formatBytes(weight_bytes),
        `${seconds.toFixed(1)} s`,
      ]),
    ],
    [1, 2, 3, 4],
  );
}

function describeChange({
  change_percent: change,
  standard_error_percent: error,
}: Pick<Row, 'change_percent' | 'standard_error_percent'>): string {
  if (change === null) return '';
  const range = error === null ? '' : ` ± ${error.toFixed(2)}`;
  return `${change < 0 ? '' : '+'}${change.toFixed(2)}${range} %`;
}
