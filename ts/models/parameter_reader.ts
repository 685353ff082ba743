import { OctoformerError } from '../binding/error';
import { callNative } from '../binding/load';
import { walkModules } from '../graph/module_tree';
import type { LoadedModel } from './loaded_model';
import { floatsOf, pieces, type TensorRows, tensorRows } from './stored_tensors';

/** A parameter of a model, as it is kept. */
export interface ReadableParameter {
  /** The path of its module and its name there, such as `model.layers.0.mlp.down_proj.weight`. */
  readonly name: string;
  /** As layers multiply it: `[out_features, in_features]`, stacked where a tensor holds several matrices, or `[length]`. */
  readonly shape: readonly number[];
  /** How the checkpoint stores it, such as `BF16`. */
  readonly dtype: string;
  /** How the runtime keeps it, such as `int8`. */
  readonly form: string;
  /** The checkpoint's tensor: tied parameters have the same. */
  readonly tensor: string;
}

/** Gives the parameters of a model as numbers. It holds nothing that needs to be disposed of. */
export class ParameterReader {
  /** In the order of the module tree. */
  readonly parameters: readonly ReadableParameter[];
  readonly #loaded: () => LoadedModel;
  readonly #places = new Map<string, Pick<TensorRows, 'weights' | 'rows'>>();

  /** @param loaded throws DISPOSED once the model is gone */
  constructor(loaded: () => LoadedModel) {
    this.#loaded = loaded;
    const { native, program, modules, origin } = loaded();
    for (const [tensor, places] of tensorRows(program, origin)) {
      this.#places.set(tensor, readRows(places));
    }
    this.parameters = [...walkModules(modules)].flatMap(({ path, parameters }) =>
      parameters.map(({ name, tensor, dtype }) => {
        const { weights, rows } = this.#placesOf(tensor);
        const columns = this.#columns(weights[0] ?? 0);
        const isVector = program.weights[weights[0] ?? 0]?.role === 'vector';
        const forms = [...new Set(weights)].map((index) => callNative(() => native.weightInfo(index)).form);
        return {
          name: path === '' ? name : `${path}.${name}`,
          shape: isVector ? [rows.length] : [rows.length, columns],
          dtype,
          form: [...new Set(forms)].join(', '),
          tensor,
        };
      }),
    );
  }

  /**
   * The numbers of a parameter row by row, in Hugging Face's order, as float32 (int8 ones dequantized), in pieces of whole rows (of a vector: of
   * any numbers) of a few megabytes, read off the main thread.
   * @throws OctoformerError DISPOSED
   */
  async *read({ tensor }: ReadableParameter): AsyncGenerator<Float32Array> {
    const places = this.#placesOf(tensor);
    const rowBytes = this.#columns(places.weights[0] ?? 0) * Float32Array.BYTES_PER_ELEMENT;
    for (const { weight, rows } of pieces(places, rowBytes)) {
      const { native, origin } = this.#loaded();
      const values = floatsOf(await callNative(() => native.readWeight(weight, rows, 'float32', false)));
      const { added } = origin.tensors.get(tensor) ?? {};
      yield added ? values.map((value) => value - added) : values;
    }
  }

  #placesOf(tensor: string): Pick<TensorRows, 'weights' | 'rows'> {
    const places = this.#places.get(tensor);
    if (!places) throw new OctoformerError('INTERNAL', `no weight has rows of tensor '${tensor}'`);
    return places;
  }

  #columns(weight: number): number {
    const description = this.#loaded().program.weights[weight];
    return description?.role === 'linear' ? (description.shape[1] ?? 1) : 1;
  }
}

/** Without the rows that the model has no use for. */
function readRows({ weights, rows }: TensorRows): Pick<TensorRows, 'weights' | 'rows'> {
  if (!weights.includes(-1)) return { weights, rows };
  return { weights: weights.filter((weight) => weight !== -1), rows: rows.filter((_, row) => weights[row] !== -1) };
}
