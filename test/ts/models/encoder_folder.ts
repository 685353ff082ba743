import { join } from 'node:path';
import {
  AutoModel,
  AutoModelForMaskedLM,
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  type EncoderInputs,
  type EncoderModel,
  type EncoderOutputs,
  type LoadOptions,
  type Tensor,
} from '../../../ts';
import { type Comparison, compareTensor, sameBits } from '../goldens/comparison';
import { readSafetensors } from '../safetensors';
import { openableFolders } from './golden_folder';
import { ReferenceFolder } from './reference_folder';

interface GoldenInput {
  readonly input_ids: readonly number[];
  readonly token_type_ids?: readonly number[];
}

interface GoldenFile {
  readonly kind: string;
  readonly architecture: string;
  readonly single: GoldenInput;
  readonly batch: readonly GoldenInput[];
  readonly long?: GoldenInput;
}

const autoModels = {
  Model: AutoModel,
  ForMaskedLM: AutoModelForMaskedLM,
  ForQuestionAnswering: AutoModelForQuestionAnswering,
  ForSequenceClassification: AutoModelForSequenceClassification,
  ForTokenClassification: AutoModelForTokenClassification,
};

/** Opens an encoder as what `architecture`, Python's class, is. */
export function openEncoder(
  folder: string,
  architecture: string,
  options: LoadOptions,
): Promise<EncoderModel<EncoderOutputs>> {
  const suffix = Object.keys(autoModels).find((name) => architecture.endsWith(name));
  return autoModels[(suffix ?? 'Model') as keyof typeof autoModels].from_pretrained(folder, options);
}

/** Folders of encoders below a folder of goldens; none if that does not exist. */
export function encoderFolders(parent: string): EncoderFolder[] {
  return openableFolders(parent, 'encoder').map((folder) => new EncoderFolder(folder));
}

/** The reference results beside an encoder's checkpoint, and comparisons of a model with them. */
export class EncoderFolder extends ReferenceFolder<GoldenInput, GoldenFile> {
  /** Opens the checkpoint as what its golden results were made with. */
  open(options: LoadOptions): Promise<EncoderModel<EncoderOutputs>> {
    return openEncoder(this.folder, this.golden.architecture, options);
  }

  /** Every tensor of the golden file, from each input run alone. */
  async compareForward(model: EncoderModel<EncoderOutputs>): Promise<Comparison[]> {
    const goldens = readSafetensors(join(this.folder, 'golden.safetensors'));
    const actual = new Map<string, Tensor>();
    for (const [name, input] of this.inputs) {
      const outputs = await model.forward({
        ...inputsOf([input]),
        output_hidden_states: true,
        output_attentions: true,
      });
      for (const [key, tensor] of namedTensors(outputs, 0)) actual.set(`${name}.${key}`, tensor);
    }
    return [...goldens].map(([name, golden]) => compareTensor(name, actual.get(name), golden));
  }

  /** All inputs as one ragged batch against each alone: the same bits. */
  async compareRagged(model: EncoderModel<EncoderOutputs>): Promise<Comparison[]> {
    const all = [...this.inputs];
    const wanted = { output_hidden_states: true, output_attentions: true };
    const together = await model.forward({ ...inputsOf(all.map(([, input]) => input)), ...wanted });
    const comparisons: Comparison[] = [];
    for (const [index, [name, input]] of all.entries()) {
      const alone = namedTensors(await model.forward({ ...inputsOf([input]), ...wanted }), 0);
      const inBatch = new Map(namedTensors(together, index));
      comparisons.push(
        ...alone.map(([key, tensor]) => sameBits(`${name}.${key}`, inBatch.get(key)?.data, tensor.data)),
      );
    }
    return comparisons;
  }
}

function inputsOf(inputs: readonly GoldenInput[]): EncoderInputs {
  const types = inputs.flatMap(({ token_type_ids }) => (token_type_ids ? [token_type_ids] : []));
  return {
    input_ids: inputs.map(({ input_ids }) => input_ids),
    ...(types.length > 0 ? { token_type_ids: types } : {}),
  };
}

/** The tensors of one sequence by the names that the golden files have for them. */
function namedTensors(outputs: EncoderOutputs, sequence: number): [string, Tensor][] {
  return (Object.entries(outputs) as [string, readonly Tensor[] | readonly (readonly Tensor[])[]][]).flatMap(
    ([name, value]) => {
      const layered = name === 'hidden_states' || name === 'attentions';
      if (!layered) return [[name, (value as readonly Tensor[])[sequence] as Tensor] as [string, Tensor]];
      return (value as readonly (readonly Tensor[])[]).map((layer, index): [string, Tensor] => [
        `${name}.${index}`,
        layer[sequence] as Tensor,
      ]);
    },
  );
}
