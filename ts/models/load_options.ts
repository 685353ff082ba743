import { OctoformerError } from '../binding/error';
import { nativeAddon } from '../binding/load';
import { checkChoice, checkNumber, checkOptions, describeValue } from '../binding/options';
import { type Dtype, dtypes } from '../quantization/float_policy';
import type { ConfigValues } from './config';

/** How far loading is. */
export interface LoadProgress {
  /** `download`: from the hub; `load`: from the files into memory. */
  readonly phase: 'download' | 'load';
  readonly file: string;
  /** Bytes done, and in all (0: not known). */
  readonly loaded: number;
  readonly total: number;
}

/** Options of `from_pretrained` of models. */
export interface LoadOptions {
  /**
   * Form of the weights and arithmetic: `auto` (default) keeps the stored form and computes in float32, exactly; `float32` widens
   * them; `float16` stores half as much and computes in float32; `bfloat16` also computes on the units for bfloat16, faster and
   * less exact.
   */
  readonly dtype?: Dtype;
  /** `none`; the int8 schemes are not implemented yet. */
  readonly quantization?: 'none';
  /** `auto` (default) or `cpu`; `cuda` throws DEVICE_UNAVAILABLE. */
  readonly device?: string;
  /** Threads that compute; by default the physical cores that the process may use. */
  readonly threads?: number;
  /** An instruction set of `info().isas`; by default the best. */
  readonly isa?: string;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
  /** Branch, tag or commit of a hub id. */
  readonly revision?: string;
  /** The GGUF file to take where there are several. */
  readonly gguf_file?: string;
}

const known = ['dtype', 'quantization', 'device', 'threads', 'isa', 'onProgress', 'signal', 'revision', 'gguf_file'];

// Threads beyond any machine's cores only wait for one another.
const maxThreads = 1024;

/** @throws OctoformerError UNKNOWN_OPTION, UNSUPPORTED_OPTION, INVALID_ARGUMENT, DEVICE_UNAVAILABLE */
export function checkLoadOptions(where: string, options: LoadOptions): { dtype: Dtype; threads: number; isa: string } {
  checkOptions(where, options, known, { quantization_config: 'int8 weights are not implemented yet' });
  const { quantization = 'none', dtype = 'auto', threads, isa } = options;
  if (quantization !== 'none') {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `option 'quantization' of ${where}: ${describeValue(quantization)} is not implemented yet; leave it out or give 'none'`,
    );
  }
  checkDevice(where, options.device ?? 'auto');
  return {
    dtype: checkChoice(where, 'dtype', dtype, dtypes),
    threads:
      threads === undefined ? 0 : checkNumber(where, 'threads', threads, { least: 1, most: maxThreads, integer: true }),
    isa: isa === undefined ? '' : checkChoice(where, 'isa', isa, nativeAddon().info().isas),
  };
}

function checkDevice(where: string, device: string): void {
  if (/^cuda(:\d+)?$/.test(device)) {
    const { available, reason } = nativeAddon().info().cuda;
    throw new OctoformerError(
      'DEVICE_UNAVAILABLE',
      `device '${device}' can't be used: ${available ? 'models run on the CPU only so far' : reason}; give 'cpu' or 'auto'`,
    );
  }
  checkChoice(where, 'device', device, ['auto', 'cpu', 'cuda']);
}

/** @throws OctoformerError UNSUPPORTED_OPTION for a checkpoint whose weights are quantized in a way that needs more than their tensors */
export function refuseQuantizedCheckpoint(config: ConfigValues, file: string): void {
  const section = config.quantization_config;
  if (typeof section !== 'object' || section === null) return;
  const method = (section as ConfigValues).quant_method ?? 'bitsandbytes';
  throw new OctoformerError(
    'UNSUPPORTED_OPTION',
    `${file} has a 'quantization_config' of method ${describeValue(method)}, which is not implemented yet; ` +
      'use the checkpoint that it was made from, or a GGUF file',
  );
}
