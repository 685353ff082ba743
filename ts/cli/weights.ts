import { loadModel } from '../models/load_model';
import { Model } from '../models/model';
import * as visualize from '../visualize';
import type { Command, ParsedArguments } from './command';
import { Interrupt } from './interrupt';
import { loadOptions, MODEL_OPTIONS } from './model_options';
import { PICTURE_OPTIONS, pictureFile, showPicture } from './picture';
import { ProgressBar, ProgressLine } from './progress';
import type { Terminal } from './terminal';

export const weights: Command = {
  name: 'weights',
  operands: '[NAME...]',
  summary: 'show how the numbers of weights are distributed',
  description:
    'Shows the parameters NAME of a model, or all: histogram, largest magnitude, mean, standard deviation, and where the large numbers are. NAME is a\n' +
    "parameter, a module, or a pattern: '*' stands for any characters. With --quantization the numbers are those that the int8 weights stand for.",
  options: { ...MODEL_OPTIONS, ...PICTURE_OPTIONS },
  examples: [
    'octoformer weights -m HuggingFaceTB/SmolLM2-135M-Instruct -o weights.html',
    "octoformer weights -m HuggingFaceTB/SmolLM2-135M-Instruct 'model.layers.0' '*.down_proj.weight' --quantization int8",
  ],
  run: runWeights,
};

async function runWeights(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  const file = pictureFile(given);
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const progress = new ProgressBar(terminal);
  const line = new ProgressLine(terminal);
  const options = { ...loadOptions(given), signal, onProgress: progress.update };
  const loaded = await loadModel('weights', source, undefined, options).finally(() => progress.clear());
  await using model = new Model(loaded);
  const names = given.operands.length > 0 ? given.operands : '*';
  const onProgress: visualize.WeightsOptions['onProgress'] = ({ parameters, total }) =>
    line.show(`Reading ${parameters} of ${total} parameters`);
  const picture = await visualize.weights(model, names, { signal, onProgress }).finally(() => line.clear());
  await showPicture(picture, file, given, terminal);
}
