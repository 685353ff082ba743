import { OctoformerError } from '../binding/error';
import { checkOptions } from '../binding/options';
import {
  checkFeatures,
  checkOutlierFeatures,
  type Int8Plan,
  type OutlierFeatures,
  readStoredQuantization,
} from './int8_options';

/** What a linear layer read while a model was calibrated. */
export interface ModuleCalibration {
  /** Input features that are outliers: these are multiplied in float where the model is loaded in int8. */
  readonly outlierFeatures: readonly number[];
  /** Share of all its inputs that reach the threshold. */
  readonly outlierShare: number;
  /** The largest magnitude among its inputs. */
  readonly largestInput: number;
}

/** What `calibrate` found. */
export interface Calibration {
  /** From this magnitude on an input counts as an outlier. */
  readonly threshold: number;
  /** A feature is an outlier feature where it is an outlier in at least this share of the tokens. */
  readonly minimumShare: number;
  readonly texts: number;
  readonly tokens: number;
  /** By the path of the linear layer. */
  readonly modules: Readonly<Record<string, ModuleCalibration>>;
}

/** The outlier features of a calibration, without the layers that have none. */
export function outlierFeaturesOf({ modules }: Calibration): OutlierFeatures {
  return Object.fromEntries(
    Object.entries(modules).flatMap(([module, { outlierFeatures }]) =>
      outlierFeatures.length > 0 ? [[module, outlierFeatures]] : [],
    ),
  );
}

/** What the file beside the weights holds (docs/quantization.md, "The file beside the weights"). */
export interface QuantizationNotes {
  /** How the int8 weights of the checkpoint are to compute. */
  readonly plan?: Int8Plan;
  /** Features that tables in int8 kept in bfloat16, by the path of the module: they are written dequantized, and become the same again so. */
  readonly wideFeatures?: OutlierFeatures;
  readonly calibration?: Calibration;
}

const version = 1;

/** The text of the file. */
export function formatNotes({ plan, wideFeatures, calibration }: QuantizationNotes): string {
  const notes = {
    version,
    ...(plan ? { quantization: plan.options } : {}),
    ...(wideFeatures ? { wideFeatures } : {}),
    ...(calibration ? { calibration } : {}),
  };
  return `${JSON.stringify(notes, undefined, 2)}\n`;
}

/**
 * Reads what `formatNotes` wrote.
 * @param file its name, for messages
 * @throws OctoformerError INVALID_CHECKPOINT for another version or what a hand has damaged, UNKNOWN_OPTION, INVALID_ARGUMENT
 */
export function readNotes(file: string, notes: Readonly<Record<string, unknown>>): QuantizationNotes {
  checkOptions(file, notes, ['version', 'quantization', 'wideFeatures', 'calibration']);
  if (notes.version !== version) {
    throw new OctoformerError(
      'INVALID_CHECKPOINT',
      `${file}: version ${JSON.stringify(notes.version)} can't be read, only ${version}; take a newer octoformer, or delete the file and calibrate anew`,
    );
  }
  const { quantization, wideFeatures, calibration } = notes;
  return {
    ...(quantization === undefined ? {} : { plan: readStoredQuantization(`'quantization' in ${file}`, quantization) }),
    ...(wideFeatures === undefined ? {} : { wideFeatures: checkFeatures(file, 'wideFeatures', wideFeatures) }),
    ...(calibration === undefined ? {} : { calibration: readCalibration(file, calibration) }),
  };
}

function readCalibration(file: string, given: unknown): Calibration {
  checkOptions(`'calibration' in ${file}`, given, ['threshold', 'minimumShare', 'texts', 'tokens', 'modules']);
  const calibration = given as Calibration;
  const { modules, ...numbers } = calibration;
  const entries = typeof modules === 'object' && modules !== null ? Object.entries(modules) : undefined;
  const whole = ['threshold', 'minimumShare', 'texts', 'tokens'].every((name) =>
    isNumber(numbers[name as keyof typeof numbers]),
  );
  if (!whole || !entries?.every(([, one]) => isNumber(one?.outlierShare) && isNumber(one?.largestInput))) {
    throw new OctoformerError(
      'INVALID_CHECKPOINT',
      `${file}: the calibration lacks numbers that calibrate() writes; delete the file and calibrate anew`,
    );
  }
  checkOutlierFeatures(
    file,
    Object.fromEntries(entries.map(([module, { outlierFeatures }]) => [module, outlierFeatures])),
  );
  return calibration;
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}
