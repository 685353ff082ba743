import { checkOptions } from '../binding/options';
import { type LoadOptions, loadOptionNames, otherLoadOptions } from '../models/load_options';

/** What the calls of a pipeline take, for checks of names. */
export interface CallNames {
  /** Which pipeline it is, for messages. */
  readonly where: string;
  readonly names: readonly string[];
  /** Options of Python's pipelines, and what there is instead. */
  readonly unsupported: Readonly<Record<string, string>>;
}

/** Options of `pipeline()`: those of loading, and those that its calls take where they say nothing else. */
export interface SplitOptions<Options extends object> {
  readonly load: LoadOptions;
  readonly defaults: Partial<Options>;
}

/**
 * Tells what `pipeline()` was given for loading from what it was given for calls. `signal` is for loading: a call has its own.
 * @throws OctoformerError UNKNOWN_OPTION (with the nearest name of either kind), UNSUPPORTED_OPTION
 */
export function splitOptions<Options extends object>(
  options: LoadOptions & Partial<Options>,
  { where, names, unsupported }: CallNames,
): SplitOptions<Options> {
  checkOptions(where, options, [...loadOptionNames, ...names], { ...otherLoadOptions, ...unsupported });
  const isForLoading = ([name]: readonly [string, unknown]) => loadOptionNames.includes(name);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return {
    load: Object.fromEntries(given.filter(isForLoading)),
    defaults: Object.fromEntries(given.filter((entry) => !isForLoading(entry))) as Partial<Options>,
  };
}

/** Names for one thing each: a call that gives either has said how long a text may get, or what goes before it. */
const alternatives = [
  ['max_new_tokens', 'max_length'],
  ['prompt', 'prompt_name'],
];

/** A call's own options over those of its pipeline. What is no object is given back as it is, for the call to refuse. */
export function withDefaults<Options extends object>(defaults: Partial<Options>, given: Options | undefined): Options {
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given))) return given;
  const own = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  const said = alternatives.filter((names) => own.some(([name]) => names.includes(name))).flat();
  const others = Object.entries(defaults).filter(([name]) => !said.includes(name));
  return Object.fromEntries([...others, ...own]) as Options;
}
