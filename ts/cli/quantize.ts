import { loadModel } from '../models/load_model';
import { Model } from '../models/model';
import type { ModuleQuantization, QuantizationReport } from '../models/quantization_report';
import { type Command, type ParsedArguments, UsageError } from './command';
import { Interrupt } from './interrupt';
import { defined, loadOptions, MODEL_OPTIONS } from './model_options';
import { ProgressBar } from './progress';
import { formatBytes, formatCount, type Terminal, table, visible } from './terminal';

const { model: _, ...LOAD_OPTIONS } = MODEL_OPTIONS;

export const quantize: Command = {
  name: 'quantize',
  operands: 'SOURCE OUT',
  summary: 'write a checkpoint with int8 weights, which Python loads too',
  description:
    'Loads SOURCE in int8 and writes it into the folder OUT: weights in the form of bitsandbytes, which transformers loads with\n' +
    'from_pretrained, config.json, and the files of the tokenizer. Tells what it did to each kind of layer: bytes, and the error against the\n' +
    'float weights. Where SOURCE is a GGUF file, OUT becomes a folder of safetensors.',
  options: {
    ...LOAD_OPTIONS,
    quantization: { ...LOAD_OPTIONS.quantization, help: 'llm.int8 (default), int8, vector-wise, ...' },
    'max-shard-size': {
      kind: 'text',
      placeholder: 'SIZE',
      help: "bytes of a file at most, such as '5GB' (default 50GB)",
    },
    modules: { kind: 'flag', help: 'a line for every module instead of every kind' },
    json: { kind: 'flag', help: 'print JSON' },
  },
  examples: [
    'octoformer quantize HuggingFaceTB/SmolLM2-135M-Instruct smollm2-int8',
    `octoformer quantize model.gguf model-int8 --quantization '{"scheme":"llm.int8","threshold":4}' --modules`,
  ],
  run: runQuantize,
};

async function runQuantize(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const [source, folder, ...others] = given.operands;
  if (source === undefined || folder === undefined) {
    throw new UsageError(source === undefined ? 'SOURCE and OUT are missing' : 'OUT, the folder to write, is missing');
  }
  if (others.length > 0) throw new UsageError(`'${others[0]}' is too many: quantize takes SOURCE and OUT`);
  // What is loaded to be written needs no quick second start.
  const options = { quantization: 'llm.int8' as const, packedCache: false, ...loadOptions(given) };
  if (options.quantization === 'none')
    throw new UsageError('--quantization none leaves nothing to do; give an int8 scheme, or leave it out');
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const progress = new ProgressBar(terminal);
  const onProgress = progress.update;
  let report: QuantizationReport;
  try {
    await using model = new Model(await loadModel('quantize', source, undefined, { ...options, onProgress, signal }));
    await model.save_pretrained(folder, {
      ...defined({ max_shard_size: given.text('max-shard-size') }),
      onProgress,
      signal,
    });
    report = await model.quantizationReport({ signal });
  } finally {
    progress.clear();
  }
  if (given.flag('json')) {
    await terminal.json({ source, folder, quantization: options.quantization, ...asJson(report) });
  } else {
    await terminal.line(describe(report, folder, given.flag('modules')));
  }
}

function asJson({ modules, bytes, float32Bytes }: QuantizationReport): object {
  return { bytes, float32_bytes: float32Bytes, modules };
}

/** Matrices that are told in one line. */
interface Line {
  readonly name: string;
  readonly modules: readonly ModuleQuantization[];
}

function describe({ modules, bytes, float32Bytes }: QuantizationReport, folder: string, each: boolean): string {
  const lines = each ? modules.map((module) => ({ name: module.module, modules: [module] })) : byKind(modules);
  const schemes = [...new Set(modules.flatMap(({ form, scheme }) => (form === 'int8' ? [scheme] : [])))];
  return [
    table(
      [
        ['module', 'matrices', 'form', 'bytes', 'relative error', 'largest error'],
        ...lines.map(({ name, modules: own }) => [
          visible(name),
          formatCount(own.length),
          [...new Set(own.map(({ form }) => form))].join(', '),
          formatBytes(own.reduce((sum, one) => sum + one.bytes, 0)),
          ...errors(own),
        ]),
      ],
      [1, 3, 4, 5],
    ),
    '',
    ...schemes.map((scheme) => `int8: ${scheme}`),
    `${formatBytes(bytes)} in memory, ${((100 * bytes) / float32Bytes).toFixed(1)} % of the ${formatBytes(float32Bytes)} of float32; written to ${visible(folder)}`,
  ].join('\n');
}

/** Modules that are called alike in all layers: `mlp.down_proj` of each. */
function byKind(modules: readonly ModuleQuantization[]): Line[] {
  const kinds = new Map<string, ModuleQuantization[]>();
  for (const module of modules) {
    const name = module.module.replace(/(^|\.)\d+(?=\.|$)/g, '$1*');
    kinds.set(name, [...(kinds.get(name) ?? []), module]);
  }
  return [...kinds].map(([name, own]) => ({ name, modules: own }));
}

/** The mean of the relative errors, and the largest of the others. */
function errors(modules: readonly ModuleQuantization[]): [string, string] {
  const known = modules.flatMap(({ error }) => (error ? [error] : []));
  if (known.length === 0) return ['-', '-'];
  const mean = known.reduce((sum, { relative }) => sum + relative, 0) / known.length;
  return [`${(100 * mean).toFixed(2)} %`, Math.max(...known.map(({ largest }) => largest)).toPrecision(3)];
}
