import { OctoformerError } from '../binding/error';
import { closest } from '../binding/options';
import type { WeightKeeping, WeightPlace, WeightPolicy } from '../graph/weight_policy';
import { type Dtype, floatKeeping } from './float_policy';
import type { Int8Plan } from './int8_options';

/** How the matrices of one model are kept, as its options and its checkpoint say. */
export class ModelWeightPolicy implements WeightPolicy {
  readonly #float: WeightKeeping;
  readonly #modules = new Set<string>();
  readonly #skipped = new Set<string>();

  /**
   * @param asked what the caller wants: floats where he wants nothing else
   * @param stored how int8 weights of the checkpoint compute where the caller wants nothing else
   */
  constructor(
    dtype: Dtype,
    readonly asked: Int8Plan | 'none' | undefined,
    readonly stored: Int8Plan | 'none' | undefined,
  ) {
    this.#float = floatKeeping(dtype);
  }

  keeping(module: string, place: WeightPlace, stored: 'float' | 'int8'): WeightKeeping {
    if (this.asked === undefined) {
      const plan = this.stored;
      return stored === 'int8' && plan && plan !== 'none' ? int8Keeping(plan, 'layer') : this.#float;
    }
    if (this.asked === 'none') return this.#float;
    const plan = this.asked;
    if (place !== 'float') this.#modules.add(module);
    const skip = plan.skipModules.filter((name) => contains(module, name));
    for (const name of skip) this.#skipped.add(name);
    const wanted = place === 'layer' || (place === 'vocabulary' && plan.embeddings);
    return wanted && skip.length === 0 ? int8Keeping(plan, place) : this.#float;
  }

  /** @throws OctoformerError INVALID_ARGUMENT for a name in `skipModules` that no module of the model had */
  checkSkipped(): void {
    const names = this.asked === undefined || this.asked === 'none' ? [] : this.asked.skipModules;
    const unknown = names.find((name) => !this.#skipped.has(name));
    if (unknown === undefined) return;
    const known = [...this.#modules].flatMap((path) => [path, path.slice(path.lastIndexOf('.') + 1)]);
    const near = closest(unknown, known);
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `the modules to leave in float ('skipModules', 'llm_int8_skip_modules') name '${unknown}', but the model has no such linear layer` +
        (near ? `; did you mean '${near}'?` : '; model.describe() shows all of them'),
    );
  }
}

function int8Keeping({ settings }: Int8Plan, place: WeightPlace): WeightKeeping {
  // A table of tokens has rows of all sizes: one scale for all would leave most of them nothing.
  const int8 = place === 'vocabulary' ? { ...settings, weight_scales: 'row' as const } : settings;
  return { form: 'int8', compute: 'float32', int8 };
}

/** Whether a path has these names one after another: `model.layers.0.mlp.up_proj` contains `layers.0`, `mlp` and `up_proj`. */
function contains(path: string, names: string): boolean {
  return `.${path}.`.includes(`.${names}.`);
}
