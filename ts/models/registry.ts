import { OctoformerError } from '../binding/error';
import { checkObject, checkOptions, closest, describeValue } from '../binding/options';
import { type Architecture, classSuffixes, familyName, type Task, taskOf } from './architecture';
import { type ConfigValues, ModelConfig } from './config';
import { decoderFamilies } from './decoder_families';
import { encoderDecoderFamilies } from './encoder_decoder_families';
import { encoderFamilies } from './encoder_families';

const architectures = new Map<string, () => Architecture>(
  Object.entries({ ...decoderFamilies, ...encoderFamilies, ...encoderDecoderFamilies }),
);

const definitionKeys: Readonly<Record<keyof Architecture, true>> = {
  model_type: true,
  tasks: true,
  build: true,
  family: true,
  base_model_prefix: true,
  className: true,
  aliases: true,
  defaults: true,
  positions: true,
  decoderIds: true,
  unlimitedPositions: true,
  skipsPadding: true,
};

/**
 * Registers an architecture of your own for checkpoints whose config.json has its `model_type`, and gives it back. A built-in
 * family of the same `model_type` is replaced.
 * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function defineArchitecture(architecture: Architecture): Architecture {
  checkObject('what defineArchitecture() defines', architecture);
  checkOptions('defineArchitecture()', architecture, Object.keys(definitionKeys));
  const { model_type, build, tasks } = architecture;
  if (typeof model_type !== 'string' || model_type === '') {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `defineArchitecture(): model_type must be a name, not ${describeValue(model_type)}`,
    );
  }
  if (typeof build !== 'function') {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `defineArchitecture(): build of '${model_type}' must be a function (config, g)`,
    );
  }
  if (!Array.isArray(tasks) || tasks.length === 0) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `defineArchitecture(): tasks of '${model_type}' must list a task, such as 'causal-lm'`,
    );
  }
  for (const task of tasks as readonly unknown[]) {
    if (typeof task === 'string' && Object.hasOwn(classSuffixes, task)) continue;
    const near = typeof task === 'string' ? closest(task, Object.keys(classSuffixes)) : undefined;
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `defineArchitecture(): '${model_type}' can't be for ${describeValue(task)}; tasks are ${Object.keys(classSuffixes).join(', ')}${near ? `; did you mean '${near}'?` : ''}`,
    );
  }
  architectures.set(model_type, () => architecture);
  return architecture;
}

/** `model_type` of every family that can be opened. */
export function architectureNames(): string[] {
  return [...architectures.keys()].sort();
}

/**
 * The family for a configuration, which must know the task (by default the one that the configuration is for), and the configuration with the family's defaults.
 * @throws OctoformerError UNSUPPORTED_ARCHITECTURE naming what there is, INVALID_CHECKPOINT
 */
export function findArchitecture(
  values: ConfigValues,
  file: string,
  asked?: Task,
): {
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  readonly family: string;
  readonly task: Task;
} {
  const type = new ModelConfig(values, file).string('model_type');
  const architecture = architectures.get(type)?.();
  if (!architecture) {
    const near = closest(type, architectures.keys());
    throw new OctoformerError(
      'UNSUPPORTED_ARCHITECTURE',
      `${file}: model_type '${type}' is not implemented${near ? ` (the nearest is '${near}')` : ''}; ` +
        `there are ${architectureNames().join(', ')}, and defineArchitecture() adds others`,
    );
  }
  const task = asked ?? taskOf(values, architecture);
  if (!task || !architecture.tasks.includes(task)) {
    throw new OctoformerError(
      'UNSUPPORTED_ARCHITECTURE',
      `${file}: models of type '${type}' are not for '${task}'; they are for ${architecture.tasks.join(', ')}`,
    );
  }
  return {
    architecture,
    config: new ModelConfig(values, file, architecture.defaults, architecture.aliases),
    family: familyName(architecture),
    task,
  };
}
