import * as visualize from '../visualize';
import type { Command, ParsedArguments } from './command';
import { Interrupt } from './interrupt';
import { defined, loadOptions, MODEL_OPTIONS } from './model_options';
import { openModel } from './open_model';
import { givenText, PICTURE_OPTIONS, pictureFile, showPicture } from './picture';
import { ProgressBar, ProgressLine } from './progress';
import type { Terminal } from './terminal';

export const outliers: Command = {
  name: 'outliers',
  operands: '[TEXT]',
  summary: 'show which input features of linear layers are large',
  description:
    'Runs TEXT, or standard input, through a model and shows for each linear layer which input features are outliers, for how many tokens, and how\n' +
    'large: what LLM.int8() multiplies in float.',
  options: {
    ...MODEL_OPTIONS,
    threshold: { kind: 'number', placeholder: 'X', help: 'magnitude from which on an input is an outlier (default 6)' },
    'max-tokens': { kind: 'integer', placeholder: 'N', help: 'read so many tokens of TEXT at most' },
    window: { kind: 'integer', placeholder: 'N', help: 'tokens that the model sees at once (default 512)' },
    'no-special-tokens': { kind: 'flag', help: 'leave out the tokens that the tokenizer puts around a text' },
    ...PICTURE_OPTIONS,
  },
  examples: [
    "octoformer outliers -m HuggingFaceTB/SmolLM2-135M-Instruct 'Once upon a time'",
    'octoformer outliers -m HuggingFaceTB/SmolLM2-135M-Instruct --threshold 20 -o outliers.svg < text.txt',
  ],
  run: runOutliers,
};

async function runOutliers(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  const file = pictureFile(given);
  const text = await givenText(given, terminal);
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const progress = new ProgressBar(terminal);
  const line = new ProgressLine(terminal);
  const options = { ...loadOptions(given), signal, onProgress: progress.update };
  const { model, tokenizer } = await openModel(source, options).finally(() => progress.clear());
  try {
    const picture = await visualize
      .outliers(model, tokenizer, text, {
        ...defined({
          threshold: given.number('threshold'),
          maxTokens: given.number('max-tokens'),
          window: given.number('window'),
        }),
        add_special_tokens: !given.flag('no-special-tokens'),
        signal,
        onProgress: ({ tokens, total }) => line.show(`Read ${tokens} of ${total} tokens`),
      })
      .finally(() => line.clear());
    await showPicture(picture, file, given, terminal);
  } finally {
    await model.dispose();
  }
}
