import { type PipelineOptions, type Pipelines, pipeline } from '../pipelines/pipeline';
import { type Command, type OptionDescriptions, type ParsedArguments, UsageError } from './command';
import { Interrupt } from './interrupt';
import { loadOptions, MODEL_OPTIONS } from './model_options';
import { ProgressBar } from './progress';
import type { Terminal } from './terminal';

/** A command over a pipeline: every input gives a line, or with --json a line of JSON. */
export interface EncodeCommand<Task extends keyof Pipelines, Input, Result> {
  readonly name: string;
  readonly task: Task;
  readonly summary: string;
  /** What an input is called in the help, such as `TEXT`. */
  readonly operand: string;
  readonly description: string;
  readonly options: OptionDescriptions;
  readonly examples: readonly string[];
  /** An input from an argument or a line. */
  readonly read: (line: string, given: ParsedArguments) => Input;
  /** Checks the arguments before a model is loaded. */
  readonly check?: (given: ParsedArguments) => void;
  /** Options of calls that are checked, and looked up in the checkpoint, before its weights are loaded. */
  readonly defaults?: (given: ParsedArguments) => PipelineOptions<Task>;
  readonly run: (
    open: Pipelines[Task],
    inputs: readonly Input[],
    given: ParsedArguments,
    signal: AbortSignal,
  ) => Promise<readonly Result[]>;
  /** The lines for people and for `cut` and `awk`: fields with tabs between. */
  readonly show: (result: Result) => readonly (readonly string[])[];
}

/** Makes a command of the `octoformer` program of it. */
export function encodeCommand<Task extends keyof Pipelines, Input, Result>(
  command: EncodeCommand<Task, Input, Result>,
): Command {
  return {
    name: command.name,
    operands: `[${command.operand}]...`,
    summary: command.summary,
    description: `${command.description}\nWithout an argument each line of standard input is one ${command.operand}.`,
    options: {
      ...MODEL_OPTIONS,
      ...command.options,
      'batch-size': { kind: 'integer', placeholder: 'N', help: 'inputs that are run together' },
      json: { kind: 'flag', help: 'print a line of JSON for each input' },
    },
    examples: command.examples,
    run: (given, terminal) => runCommand(command, given, terminal),
  };
}

async function runCommand<Task extends keyof Pipelines, Input, Result>(
  command: EncodeCommand<Task, Input, Result>,
  given: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  const source = given.required('model');
  command.check?.(given);
  if (given.operands.length === 0 && terminal.isInteractive) {
    throw new UsageError(`${command.operand} is missing; give it as an argument or on standard input`);
  }
  const lines = given.operands.length > 0 ? given.operands : await terminal.readLines();
  const inputs = lines.map((line) => command.read(line, given));
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const progress = new ProgressBar(terminal);
  const loading = { onProgress: progress.update, signal };
  const opened = await pipeline(command.task, source, {
    ...command.defaults?.(given),
    ...loadOptions(given),
    ...loading,
  }).finally(() => progress.clear());
  try {
    for (const result of await command.run(opened, inputs, given, signal)) {
      if (given.flag('json')) await terminal.json(result);
      else for (const fields of command.show(result)) await terminal.writeGenerated(`${fields.join('\t')}\n`);
    }
  } finally {
    await opened.dispose();
  }
}

/** A score with as many digits as mean something. */
export function score(value: number): string {
  return value.toFixed(4);
}

/** The options that every pipeline takes. */
export function batchOptions(
  given: ParsedArguments,
  signal: AbortSignal,
): { batch_size?: number; signal: AbortSignal } {
  const batch_size = given.number('batch-size');
  return { ...(batch_size === undefined ? {} : { batch_size }), signal };
}
