import { OctoformerError } from '../binding/error';
import type { NativeTensorInfo } from '../binding/native';
import { AutoTokenizer } from '../models/auto_tokenizer';
import { type CheckpointDescription, inspectCheckpoint } from '../models/inspect';
import type { Tokenizer } from '../tokenization';
import { type Command, type ParsedArguments, UsageError } from './command';
import { Interrupt } from './interrupt';
import { SOURCE_OPTIONS, sourceOptions } from './model_options';
import { ProgressBar } from './progress';
import { formatBytes, formatCount, type Terminal, table, visible } from './terminal';

export const inspect: Command = {
  name: 'inspect',
  operands: 'SOURCE',
  summary: 'architecture, modules, sizes, tokenizer, chat template',
  description:
    'Describes a checkpoint (safetensors or GGUF) by its headers; weights are not read. --model SOURCE is the same as SOURCE.',
  options: {
    ...SOURCE_OPTIONS,
    tensors: { kind: 'flag', help: 'list every tensor: name, dtype, shape, bytes' },
    json: { kind: 'flag', help: 'print JSON' },
  },
  examples: ['octoformer inspect HuggingFaceTB/SmolLM2-135M-Instruct', 'octoformer inspect model.gguf --tensors'],
  run: runInspect,
};

async function runInspect(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = chooseSource(given);
  using interrupt = new Interrupt();
  const progress = new ProgressBar(terminal);
  const options = { ...sourceOptions(given), signal: interrupt.signal, onProgress: progress.update };
  let checkpoint: CheckpointDescription;
  let tokenizer: TokenizerFacts;
  try {
    checkpoint = await inspectCheckpoint(source, options);
    tokenizer = await describeTokenizer(() => AutoTokenizer.from_pretrained(source, options));
  } finally {
    progress.clear();
  }
  const withTensors = given.flag('tensors');
  if (given.flag('json')) await terminal.json(asJson(source, checkpoint, tokenizer, withTensors));
  else await print(source, checkpoint, tokenizer, withTensors, terminal);
}

function chooseSource(given: ParsedArguments): string {
  const [operand, ...others] = given.operands;
  const model = given.text('model');
  if (others.length > 0 || (operand !== undefined && model !== undefined)) {
    throw new UsageError('inspect takes one SOURCE');
  }
  const source = operand ?? model;
  if (source === undefined) throw new UsageError('SOURCE is missing: a folder, a .gguf file or a hub id');
  return source;
}

type TokenizerFacts = { readonly tokenizer: Tokenizer } | { readonly obstacle: OctoformerError };

/** Many checkpoints for tests and adapters have no tokenizer: that is told, and is no failure. */
async function describeTokenizer(open: () => Promise<Tokenizer>): Promise<TokenizerFacts> {
  try {
    return { tokenizer: await open() };
  } catch (error) {
    const told = ['NOT_FOUND', 'INVALID_TOKENIZER', 'UNSUPPORTED_ARCHITECTURE', 'UNSUPPORTED_OPTION'];
    if (!OctoformerError.is(error) || !told.includes(error.code)) throw error;
    return { obstacle: error };
  }
}

interface DtypeSum {
  readonly dtype: string;
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** Sums by dtype, the largest first. */
function sumByDtype(tensors: readonly NativeTensorInfo[]): DtypeSum[] {
  const sums = new Map<string, DtypeSum>();
  for (const { dtype, shape, bytes } of tensors) {
    const sum = sums.get(dtype) ?? { dtype, tensors: 0, parameters: 0, bytes: 0 };
    const parameters = shape.reduce((product, size) => product * size, 1);
    sums.set(dtype, {
      dtype,
      tensors: sum.tensors + 1,
      parameters: sum.parameters + parameters,
      bytes: sum.bytes + bytes,
    });
  }
  return [...sums.values()].sort((a, b) => b.bytes - a.bytes);
}

function total(sums: readonly DtypeSum[], key: 'tensors' | 'parameters' | 'bytes'): number {
  return sums.reduce((sum, one) => sum + one[key], 0);
}

/** Special tokens by role, those that the tokenizer has. */
function specialTokens(tokenizer: Tokenizer): Record<string, { readonly token: string; readonly id: number | null }> {
  const roles = {
    bos: [tokenizer.bos_token, tokenizer.bos_token_id],
    eos: [tokenizer.eos_token, tokenizer.eos_token_id],
    unk: [tokenizer.unk_token, tokenizer.unk_token_id],
    sep: [tokenizer.sep_token, tokenizer.sep_token_id],
    pad: [tokenizer.pad_token, tokenizer.pad_token_id],
    cls: [tokenizer.cls_token, tokenizer.cls_token_id],
    mask: [tokenizer.mask_token, tokenizer.mask_token_id],
  } as const;
  return Object.fromEntries(
    Object.entries(roles).flatMap(([role, [token, id]]) => (token === null ? [] : [[role, { token, id }]])),
  );
}

function asJson(
  source: string,
  checkpoint: CheckpointDescription,
  facts: TokenizerFacts,
  withTensors: boolean,
): unknown {
  const sums = sumByDtype(checkpoint.tensors);
  const { obstacle } = checkpoint;
  return {
    source,
    format: checkpoint.format,
    files: checkpoint.files.weights,
    architecture: checkpoint.architecture,
    ...(obstacle ? { unsupported: { code: obstacle.code, message: obstacle.message } } : {}),
    modules: checkpoint.modules ?? null,
    parameters: total(sums, 'parameters'),
    bytes: total(sums, 'bytes'),
    dtypes: sums,
    config: checkpoint.config,
    ...('tokenizer' in facts
      ? {
          tokenizer: { vocabulary: facts.tokenizer.length, special_tokens: specialTokens(facts.tokenizer) },
          chat_template: facts.tokenizer.chat_template,
        }
      : { tokenizer: null, chat_template: null }),
    ...(withTensors ? { tensors: checkpoint.tensors } : {}),
  };
}

async function print(
  source: string,
  checkpoint: CheckpointDescription,
  facts: TokenizerFacts,
  withTensors: boolean,
  terminal: Terminal,
): Promise<void> {
  const { paint } = terminal;
  const sums = sumByDtype(checkpoint.tensors);
  const title = (text: string) => terminal.line(`\n${paint('bold', text)}`);
  await terminal.line(
    table(
      [
        ['source', visible(source)],
        ['format', `${checkpoint.format}, ${checkpoint.files.weights.length} file(s)`],
        ['architecture', visible(checkpoint.architecture)],
        ['parameters', formatCount(total(sums, 'parameters'))],
        ['bytes', formatBytes(total(sums, 'bytes'))],
      ].map(([name = '', value = '']) => [paint('bold', name), value]),
    ),
  );
  await title('By dtype');
  await terminal.line(
    table(
      [
        ['dtype', 'tensors', 'parameters', 'bytes'].map((name) => paint('dim', name)),
        ...sums.map((sum) => [
          sum.dtype,
          formatCount(sum.tensors),
          formatCount(sum.parameters),
          formatBytes(sum.bytes),
        ]),
      ],
      [1, 2, 3],
    ),
  );
  await title('Modules');
  await terminal.line(checkpoint.modules ?? `not known: ${visible(checkpoint.obstacle?.message ?? '')}`);
  await title('Tokenizer');
  await terminal.line(tokenizerLines(facts));
  if ('tokenizer' in facts && facts.tokenizer.chat_template !== null) {
    await title('Chat template');
    // Line breaks are its own; other control characters must not reach the terminal.
    await terminal.line(facts.tokenizer.chat_template.split('\n').map(visible).join('\n'));
  }
  if (!withTensors) return;
  await title('Tensors');
  await terminal.line(
    table(
      checkpoint.tensors.map(({ name, dtype, shape, bytes }) => [
        visible(name),
        dtype,
        `[${shape.join(', ')}]`,
        formatBytes(bytes),
      ]),
      [3],
    ),
  );
}

function tokenizerLines(facts: TokenizerFacts): string {
  if ('obstacle' in facts) return `none: ${visible(facts.obstacle.message)}`;
  const { tokenizer } = facts;
  return table([
    ['tokens', formatCount(tokenizer.length)],
    ...Object.entries(specialTokens(tokenizer)).map(([role, { token, id }]) => [
      role,
      `${visible(token)} (${id ?? 'no id'})`,
    ]),
    [
      'chat template',
      tokenizer.chat_template === null ? 'none' : `${formatCount(tokenizer.chat_template.length)} characters`,
    ],
  ]);
}
