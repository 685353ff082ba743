import type { LoadOptions } from '../models/load_options';
import type { Dtype } from '../quantization/float_policy';
import { type OptionDescriptions, type ParsedArguments, UsageError } from './command';
import { readScheme } from './scheme_argument';

/** Options that name a checkpoint. */
export const SOURCE_OPTIONS = {
  model: { kind: 'text', short: 'm', placeholder: 'SOURCE', help: 'folder, .gguf file or hub id' },
  revision: { kind: 'text', placeholder: 'REVISION', help: "branch, tag or commit of a hub id (default 'main')" },
  'gguf-file': { kind: 'text', placeholder: 'NAME', help: 'the GGUF file to take where there are several' },
} as const satisfies OptionDescriptions;

/** Options of commands that run a model. */
export const MODEL_OPTIONS = {
  ...SOURCE_OPTIONS,
  dtype: { kind: 'text', placeholder: 'TYPE', help: 'auto (default), float32, bfloat16, float16' },
  quantization: {
    kind: 'text',
    placeholder: 'SCHEME',
    help: 'none (default), llm.int8, int8, int8-weight-only, vector-wise, ...; llm.int8:threshold=3, or {"scheme": ...}',
  },
  device: { kind: 'text', placeholder: 'DEVICE', help: 'auto (default), cpu' },
  threads: { kind: 'integer', placeholder: 'N', help: 'threads that compute (default: physical cores)' },
  isa: { kind: 'text', placeholder: 'NAME', help: "instruction set, one of those that 'octoformer info' lists" },
  'packed-cache': {
    kind: 'text',
    placeholder: 'FOLDER',
    help: 'keep packed weights there, for quick starts (default: of models above 32 MB, in ~/.cache/octoformer/packed)',
  },
  'no-packed-cache': { kind: 'flag', help: 'keep no packed weights' },
} as const satisfies OptionDescriptions;

/** Of commands whose models keep keys and values. */
export const CACHE_OPTIONS = {
  'kv-cache': { kind: 'text', placeholder: 'FORM', help: 'keys and values: float32, bfloat16 (default of int8), int8' },
} as const satisfies OptionDescriptions;

/** What `from_pretrained` of a tokenizer, and the search for files, take. */
export function sourceOptions(given: ParsedArguments): { readonly revision?: string; readonly gguf_file?: string } {
  return defined({ revision: given.text('revision'), gguf_file: given.text('gguf-file') });
}

/** What `pipeline` takes. Values are checked there. */
export function loadOptions(given: ParsedArguments): LoadOptions {
  const folder = given.text('packed-cache');
  const none = given.flag('no-packed-cache');
  if (none && folder !== undefined) throw new UsageError('--packed-cache and --no-packed-cache exclude one another');
  return {
    ...sourceOptions(given),
    ...defined({
      dtype: given.text('dtype') as Dtype | undefined,
      quantization: withCache(given.text('quantization'), given.text('kv-cache')),
      device: given.text('device'),
      threads: given.number('threads'),
      isa: given.text('isa'),
      packedCache: none ? false : folder,
    }),
  };
}

/** The option `quantization` of a scheme and of a form of the cache, as they were typed. */
export function withCache(scheme: string | undefined, cache: string | undefined): LoadOptions['quantization'] {
  const quantization = scheme === undefined ? undefined : readScheme(scheme);
  if (cache === undefined) return quantization;
  const others = typeof quantization === 'string' ? { scheme: quantization } : quantization;
  return { ...others, kvCache: cache } as LoadOptions['quantization'];
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Without the keys whose value is undefined, which stands for an option that was not given. */
export function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
