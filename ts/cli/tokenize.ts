import { AutoTokenizer } from '../models/auto_tokenizer';
import * as visualize from '../visualize';
import { tokenRows } from '../visualize/tokens_ansi';
import type { Command, ParsedArguments } from './command';
import { Interrupt } from './interrupt';
import { SOURCE_OPTIONS, sourceOptions } from './model_options';
import { givenText, PICTURE_OPTIONS, pictureFile, showPicture } from './picture';
import { ProgressBar } from './progress';
import type { Terminal } from './terminal';

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
    ...PICTURE_OPTIONS,
    json: { kind: 'flag', help: 'print JSON: input_ids, tokens, offsets' },
  },
  examples: [
    "octoformer tokenize --model HuggingFaceTB/SmolLM2-135M-Instruct 'Once upon a time'",
    'octoformer tokenize -m model.gguf --json < text.txt',
    "octoformer tokenize -m model.gguf 'Once upon a time' -o tokens.html",
  ],
  run: runTokenize,
};

async function runTokenize(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  const file = pictureFile(given);
  const text = await givenText(given, terminal);
  using interrupt = new Interrupt();
  const progress = new ProgressBar(terminal);
  const tokenizer = await AutoTokenizer.from_pretrained(source, {
    ...sourceOptions(given),
    signal: interrupt.signal,
    onProgress: progress.update,
  }).finally(() => progress.clear());
  const picture = await visualize.tokens(tokenizer, text, { add_special_tokens: !given.flag('no-special-tokens') });
  const { tokens } = picture.data;
  if (given.flag('json')) {
    await terminal.json({
      input_ids: tokens.map(({ id }) => id),
      tokens: tokens.map(({ piece }) => piece),
      offsets: tokens.map(({ start, end }) => [start, end]),
    });
  } else if (file !== undefined || terminal.output.isTTY) {
    await showPicture(picture, file, given, terminal);
  } else {
    for (const row of tokenRows(picture.data)) await terminal.line(row.join('\t'));
  }
}
