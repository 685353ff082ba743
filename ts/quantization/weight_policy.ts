import { OctoformerError } from '../binding/error';
import { closest } from '../binding/options';
import type { CacheForm, Int8Settings, Program } from '../graph/program';
import type { StoredNumbers, WeightKeeping, WeightPlace, WeightPolicy } from '../graph/weight_policy';
import { type Dtype, floatKeeping } from './float_policy';
import type { Int8Plan, OutlierFeatures } from './int8_options';

/** How the matrices of one model are kept, as its options and its checkpoint say. */
export class ModelWeightPolicy implements WeightPolicy {
  /**
   * What is asked for, else what an int8 checkpoint says where its weights compute as it says, too, else bfloat16 beside own int8 and
   * bfloat16 matrices, which are less exact (docs/quantization.md).
   */
  readonly cacheForm: CacheForm;
  readonly #float: WeightKeeping;
  readonly #vocabulary: WeightKeeping;
  readonly #modules = new Set<string>();
  readonly #skipped = new Set<string>();
  readonly #outlierFeatures: OutlierFeatures;

  /**
   * @param asked what the caller wants: floats where he wants nothing else
   * @param stored how int8 weights of the checkpoint compute where the caller wants nothing else
   * @param notes what lies beside the weights: the outlier features of a calibration, the wide ones of tables that were int8, and whether `stored` tells of all layers, so that
   *   those that bitsandbytes has no int8 form for are int8 too; and what paths begin with in a model with a head but not in a bare one
   *   (`model`), since either is what is noted of the other
   * @param askedCache what the caller wants of keys and values
   */
  constructor(
    dtype: Dtype,
    readonly asked: Int8Plan | 'none' | undefined,
    readonly stored: Int8Plan | 'none' | undefined,
    private readonly notes: {
      readonly outlierFeatures?: OutlierFeatures;
      readonly wideFeatures?: OutlierFeatures;
      readonly tellsAll?: boolean;
      readonly basePrefix?: string;
    } = {},
    private readonly askedCache?: CacheForm,
  ) {
    this.#float = floatKeeping(dtype);
    // A table of tokens that stays in float32 would be most of what an int8 model takes. An int8 checkpoint has said how it is kept.
    this.#vocabulary = floatKeeping(dtype === 'auto' && (stored ?? 'none') === 'none' ? 'float16' : dtype);
    const narrow = dtype === 'bfloat16' || this.plan?.options.scheme === 'int8';
    this.cacheForm = askedCache ?? this.plan?.cacheForm ?? (narrow ? 'bfloat16' : 'float32');
    const wanted = this.plan?.outlierFeatures ?? 'none';
    this.#outlierFeatures = wanted === 'stored' ? (notes.outlierFeatures ?? {}) : wanted === 'none' ? {} : wanted;
  }

  /** How int8 matrices compute, or undefined where none is int8. */
  get plan(): Int8Plan | undefined {
    const plan = this.asked ?? this.stored;
    return plan === 'none' ? undefined : plan;
  }

  /** The plan, where it tells of all layers, and what was asked for the cache besides. */
  get wholePlan(): Int8Plan | undefined {
    const { plan, askedCache } = this;
    if (!plan || (this.asked === undefined && !this.notes.tellsAll)) return undefined;
    return askedCache ? { ...plan, options: { ...plan.options, kvCache: askedCache } } : plan;
  }

  keeping(module: string, place: WeightPlace, stored: StoredNumbers): WeightKeeping {
    const { plan } = this;
    if (!plan) return this.#float;
    if (place !== 'float') this.#modules.add(module);
    const skip = plan.skipModules.filter((name) => this.#names(module).some((path) => contains(path, name)));
    for (const name of skip) this.#skipped.add(name);
    const wanted = skip.length === 0 && (place === 'layer' || (place === 'vocabulary' && plan.embeddings));
    const isInt8 = this.asked === undefined ? stored === 'int8' || (this.notes.tellsAll && wanted) : wanted;
    if (isInt8) return this.#int8(plan, module, place, stored);
    return place === 'vocabulary' && stored === 'float' ? this.#vocabulary : this.#float;
  }

  /** @throws OctoformerError INVALID_ARGUMENT where the model has no cache that could be kept otherwise */
  checkCache({ cache_layers }: Program): void {
    if (this.askedCache !== 'int8' || cache_layers.some(({ form }) => form === 'int8')) return;
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `'kvCache' is 'int8', but the model keeps no keys and values from one run to the next (no attention of it is causal); leave it out`,
    );
  }

  #int8(plan: Int8Plan, module: string, place: WeightPlace, stored: StoredNumbers): WeightKeeping {
    const { wide_features, ...settings }: Int8Settings = place === 'vocabulary' ? plan.vocabulary : plan.settings;
    // Rows that are int8 already have their scales.
    const isWide = wide_features !== undefined && stored !== 'int8';
    // With features of its own the output projection would be a second copy of a table that it shares.
    const uncalibrated = place === 'vocabulary' && plan.outlierFeatures === 'stored';
    const calibrated = settings.weight_only || uncalibrated ? undefined : this.#ofModule(this.#outlierFeatures, module);
    const features = calibrated ?? (isWide ? this.#ofModule(this.notes.wideFeatures ?? {}, module) : undefined);
    // Int8 rows of a checkpoint have one scale each: the scheme's own groups are for those that are quantized here.
    const byCheckpoint = stored === 'int8' && plan.options.groupSize === undefined;
    // A table of tokens has rows of all sizes: one scale for all would leave most of them nothing. Rows that are int8 already have
    // their scales, which are all the same where the scheme has one for the tensor.
    const byRow = place === 'vocabulary' || (stored === 'int8' && this.asked === undefined);
    return {
      form: 'int8',
      compute: 'float32',
      int8: {
        ...settings,
        ...(byRow ? { weight_scales: 'row' } : {}),
        ...(byCheckpoint && settings.group_size ? { group_size: 0 } : {}),
        ...(isWide ? { wide_features } : {}),
        ...(features ? { outlier_features: features } : {}),
      },
    };
  }

  /**
   * To be called when all modules are built.
   * @throws OctoformerError INVALID_ARGUMENT for a name in `skipModules` or `outlierFeatures` that no module of the model had
   */
  checkNames(): void {
    const names = this.asked === undefined || this.asked === 'none' ? [] : this.asked.skipModules;
    const unknown = names.find((name) => !this.#skipped.has(name));
    if (unknown !== undefined) {
      throw this.#noSuchModule(
        unknown,
        `the modules to leave in float ('skipModules', 'llm_int8_skip_modules') name '${unknown}'`,
      );
    }
    if (!this.plan || this.plan.settings.weight_only) return;
    const named = Object.keys(this.#outlierFeatures);
    const isThere = (name: string) => this.#names(name).some((path) => this.#modules.has(path));
    const stray = named.find((name) => !isThere(name));
    // A calibration may know layers of heads that the model is opened without.
    const mayBeOther = this.plan.outlierFeatures === 'stored' && named.some(isThere);
    if (stray !== undefined && !mayBeOther)
      throw this.#noSuchModule(stray, `the outlier features ('outlierFeatures') name '${stray}'`);
  }

  /** A path as it is, as a model with a head has it, and as a bare one does. */
  #names(path: string): string[] {
    const { basePrefix } = this.notes;
    if (basePrefix === undefined) return [path];
    const prefix = `${basePrefix}.`;
    return [path, path.startsWith(prefix) ? path.slice(prefix.length) : prefix + path];
  }

  #ofModule(features: OutlierFeatures, module: string): OutlierFeatures[string] | undefined {
    const name = this.#names(module).find((path) => Object.hasOwn(features, path));
    return name === undefined ? undefined : features[name];
  }

  #noSuchModule(name: string, what: string): OctoformerError {
    const known = [...this.#modules].flatMap((path) => [path, path.slice(path.lastIndexOf('.') + 1)]);
    const near = closest(name, known);
    return new OctoformerError(
      'INVALID_ARGUMENT',
      `${what}, but the model has no such linear layer` +
        (near ? `; did you mean '${near}'?` : '; model.describe() shows all of them'),
    );
  }
}

/** Whether a path has these names one after another: `model.layers.0.mlp.up_proj` contains `layers.0`, `mlp` and `up_proj`. */
function contains(path: string, names: string): boolean {
  return `.${path}.`.includes(`.${names}.`);
}
