import * as visualize from '../visualize';
import { type Command, type ParsedArguments, UsageError } from './command';
import { Interrupt } from './interrupt';
import { defined, loadOptions, MODEL_OPTIONS } from './model_options';
import { openModel } from './open_model';
import { givenText, PICTURE_OPTIONS, pictureFile, showPicture } from './picture';
import { ProgressBar } from './progress';
import type { Terminal } from './terminal';

export const attention: Command = {
  name: 'attention',
  operands: '[TEXT]',
  summary: 'show which tokens of a text attend to which',
  description:
    'Runs TEXT, or standard input, through a model and shows the attention of a layer and head: in the terminal, or as a picture or page with -o.\n' +
    'On a page (.html) every layer and head can be picked. Encoder-decoders have three kinds: encoder, decoder, cross.',
  options: {
    ...MODEL_OPTIONS,
    part: { kind: 'text', placeholder: 'NAME', help: 'of encoder-decoders: encoder, decoder, cross (default)' },
    layer: { kind: 'integer', placeholder: 'N', help: 'from 0 on (default: the last)' },
    head: { kind: 'text', placeholder: 'N', help: "from 0 on, or 'mean' of all heads (default)" },
    'text-pair': { kind: 'text', placeholder: 'TEXT', help: 'of encoders: a second text' },
    'decoder-text': {
      kind: 'text',
      placeholder: 'TEXT',
      help: 'of encoder-decoders: what the decoder reads (default: what the model writes, up to 32 tokens)',
    },
    'max-tokens': { kind: 'integer', placeholder: 'N', help: 'read so many tokens of TEXT at most' },
    'no-special-tokens': { kind: 'flag', help: 'leave out the tokens that the tokenizer puts around a text' },
    ...PICTURE_OPTIONS,
  },
  examples: [
    "octoformer attention -m HuggingFaceTB/SmolLM2-135M-Instruct 'The cat sat on the mat' -o attention.html",
    "octoformer attention -m google-t5/t5-small --part encoder --layer 2 --head 5 'The house is wonderful.'",
  ],
  run: runAttention,
};

async function runAttention(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  const file = pictureFile(given);
  const head = headOf(given);
  const text = await givenText(given, terminal);
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const progress = new ProgressBar(terminal);
  const options = { ...loadOptions(given), signal, onProgress: progress.update };
  const { model, tokenizer } = await openModel(source, options).finally(() => progress.clear());
  try {
    const picture = await visualize.attention(model, tokenizer, text, {
      ...defined({
        part: given.text('part') as visualize.AttentionPartName | undefined,
        layer: given.number('layer'),
        head,
        text_pair: given.text('text-pair'),
        decoderText: given.text('decoder-text'),
        maxTokens: given.number('max-tokens'),
        columns: terminal.output.columns === undefined ? undefined : Math.max(20, terminal.output.columns),
      }),
      add_special_tokens: !given.flag('no-special-tokens'),
      signal,
    });
    await showPicture(picture, file, given, terminal);
  } finally {
    await model.dispose();
  }
}

function headOf(given: ParsedArguments): number | 'mean' | undefined {
  const text = given.text('head');
  if (text === undefined || text === 'mean') return text;
  const head = Number(text);
  if (Number.isInteger(head) && head >= 0) return head;
  throw new UsageError(`--head takes a whole number or 'mean', not '${text}'`);
}
