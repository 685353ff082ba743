import { AutoTokenizer } from '../models/auto_tokenizer';
import type { TokenizedText } from '../tokenization';
import { type Command, type ParsedArguments, UsageError } from './command';
import { Interrupt } from './interrupt';
import { SOURCE_OPTIONS, sourceOptions } from './model_options';
import { ProgressBar } from './progress';
import { type Style, type Terminal, table, visible } from './terminal';

export const tokenize: Command = {
  name: 'tokenize',
  operands: '[TEXT]',
  summary: 'show the tokens of a text: ids, offsets, pieces',
  description:
    'Shows how the tokenizer cuts TEXT, or standard input. Offsets count UTF-16 units from 0, as JavaScript strings do; the end is exclusive.\n' +
    'Elsewhere than on a terminal a token is a line of id, start, end and token, with tabs between.',
  options: {
    ...SOURCE_OPTIONS,
    'no-special-tokens': { kind: 'flag', help: 'leave out the tokens that the tokenizer puts around a text' },
    json: { kind: 'flag', help: 'print JSON: input_ids, tokens, offsets' },
  },
  examples: [
    "octoformer tokenize --model HuggingFaceTB/SmolLM2-135M-Instruct 'Once upon a time'",
    'octoformer tokenize -m model.gguf --json < text.txt',
  ],
  run: runTokenize,
};

/** Neighbouring tokens get different ones. */
const STYLES: readonly Style[] = ['cyan', 'yellow', 'green', 'magenta'];

async function runTokenize(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  if (given.operands.length === 0 && terminal.isInteractive) {
    throw new UsageError('TEXT is missing; give it as an argument or on standard input');
  }
  const text = given.operands.length > 0 ? given.operands.join(' ') : await terminal.readInput();
  using interrupt = new Interrupt();
  const progress = new ProgressBar(terminal);
  const tokenizer = await AutoTokenizer.from_pretrained(source, {
    ...sourceOptions(given),
    signal: interrupt.signal,
    onProgress: progress.update,
  }).finally(() => progress.clear());
  const encoded = tokenizer.encode(text, { add_special_tokens: !given.flag('no-special-tokens') });
  const { input_ids, tokens, offsets } = encoded;
  if (given.flag('json')) await terminal.json({ input_ids, tokens, offsets });
  else if (terminal.output.isTTY) await showOnTerminal(text, encoded, terminal);
  else for (const row of rows(encoded)) await terminal.line(row.join('\t'));
}

/** The text in colours, then the tokens one a line. */
async function showOnTerminal(text: string, encoded: TokenizedText, terminal: Terminal): Promise<void> {
  const styleOf = (i: number) => STYLES[i % STYLES.length] ?? 'cyan';
  let colored = '';
  let at = 0;
  for (const [i, [start, end]] of encoded.offsets.entries()) {
    if (end <= at) continue; // put in by the tokenizer, or one of several tokens of the same character
    colored += visible(text.slice(at, Math.max(at, start)));
    colored += terminal.paint(styleOf(i), visible(text.slice(Math.max(at, start), end)));
    at = end;
  }
  await terminal.line(colored + visible(text.slice(at)));
  const body = rows(encoded).map(([id = '', start = '', end = '', token = ''], i) => [
    id,
    start,
    end,
    terminal.paint(styleOf(i), token),
  ]);
  const head = ['id', 'start', 'end', 'token'].map((name) => terminal.paint('dim', name));
  await terminal.line(table([head, ...body], [0, 1, 2]));
  await terminal.line(terminal.paint('dim', `${encoded.input_ids.length} tokens, ${[...text].length} characters`));
}

function rows({ input_ids, offsets, tokens }: TokenizedText): string[][] {
  return input_ids.map((id, i) => {
    const [start, end] = offsets[i] ?? [0, 0];
    return [String(id), String(start), String(end), visible(tokens[i] ?? '')];
  });
}
