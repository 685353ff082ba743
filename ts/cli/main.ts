#!/usr/bin/env node
import { OctoformerError } from '../binding/error';
import { packageVersion } from '../binding/info';
import { closest } from '../binding/options';
import { attention } from './attention';
import { bench } from './bench';
import { chat } from './chat';
import { type Command, UsageError } from './command';
import { encoderCommands } from './encoder_commands';
import { generate } from './generate';
import { COMMON_OPTIONS, commandHelp, generalHelp } from './help';
import { info } from './info';
import { inspect } from './inspect';
import { INTERRUPTED, isAborted } from './interrupt';
import { outliers } from './outliers';
import { parseArguments } from './parse';
import { perplexity } from './perplexity';
import { quantize } from './quantize';
import { seq2seqCommands } from './seq2seq_commands';
import { Terminal } from './terminal';
import { tokenize } from './tokenize';
import { weights } from './weights';

const COMMANDS: readonly Command[] = [
  generate,
  chat,
  ...encoderCommands,
  ...seq2seqCommands,
  perplexity,
  quantize,
  inspect,
  tokenize,
  attention,
  weights,
  outliers,
  bench,
  info,
];

const FAILURE = 1;
const WRONG_USAGE = 2;

async function run(given: readonly string[], terminal: Terminal): Promise<void> {
  const [name, ...others] = given;
  if (name === undefined) throw new UsageError('a command is missing');
  if (name === '--help' || name === '-h' || name === 'help') {
    await terminal.write(others[0] === undefined ? generalHelp(COMMANDS) : commandHelp(findCommand(others[0])));
  } else if (name === '--version') {
    await terminal.line(packageVersion());
  } else {
    const command = findCommand(name);
    const parsed = parseArguments(others, { ...command.options, ...COMMON_OPTIONS });
    if (parsed.flag('help')) await terminal.write(commandHelp(command));
    else await command.run(parsed, terminal);
  }
}

function findCommand(name: string): Command {
  const command = COMMANDS.find((one) => one.name === name);
  if (command !== undefined) return command;
  const names = COMMANDS.map((one) => one.name);
  const near = closest(name, names);
  const kind = name.startsWith('-') ? 'option' : 'command';
  throw new UsageError(
    `unknown ${kind} '${name}'${near !== undefined && kind === 'command' ? `; did you mean '${near}'?` : `; there are ${names.join(', ')}`}`,
  );
}

/** Tells what went wrong, and gives the exit code. */
function report(error: unknown, given: readonly string[], terminal: Terminal): number {
  const say = (text: string) => terminal.note(`${terminal.paintMessage('red', 'error')}: ${text}`);
  if (error instanceof UsageError) {
    const name = COMMANDS.find((one) => one.name === given[0])?.name;
    say(error.message);
    terminal.note(`See 'octoformer ${name === undefined ? '' : `${name} `}--help'.`);
    return WRONG_USAGE;
  }
  if (isAborted(error)) return INTERRUPTED;
  if (OctoformerError.is(error)) say(`${error.message} [${error.code}]`);
  else say(`${error instanceof Error ? error.message : String(error)} [INTERNAL]`);
  if (terminal.environment.OCTOFORMER_DEBUG && error instanceof Error) terminal.note(error.stack ?? '');
  return FAILURE;
}

/** A reader that has enough (`| head`) closes the pipe: that is no error. */
function leaveQuietlyWhenClosed(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

async function main(): Promise<void> {
  leaveQuietlyWhenClosed(process.stdout);
  leaveQuietlyWhenClosed(process.stderr);
  const terminal = new Terminal(process.stdin, process.stdout, process.stderr, process.env);
  const given = process.argv.slice(2);
  try {
    await run(given, terminal);
  } catch (error) {
    process.exitCode = report(error, given, terminal);
  }
}

void main();
