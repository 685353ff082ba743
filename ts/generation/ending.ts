import type { GenerationSettings } from './options';
import { StopStrings } from './stop_strings';

/** Why a sequence ended: an end-of-sequence id, a stop string, an own criterion, `max_new_tokens`, or the model's longest sequence. */
export type FinishReason = 'eos' | 'stop_string' | 'stopping_criteria' | 'length' | 'context';

/** Says whether a sequence ends with its last token, and why. */
export class Ending {
  readonly #eos: ReadonlySet<number>;
  readonly #stopStrings: StopStrings | undefined;
  readonly #criteria: GenerationSettings['stoppingCriteria'];
  readonly #context: number;
  /** Ids of tokens after which a sequence ends. */
  readonly ids: Int32Array;

  /** @param context tokens that a sequence of this model may have */
  constructor({ eosTokenIds, stopStrings, tokenizer, stoppingCriteria }: GenerationSettings, context: number) {
    this.#eos = new Set(eosTokenIds);
    this.ids = Int32Array.from(this.#eos);
    this.#stopStrings = stopStrings.length > 0 && tokenizer ? new StopStrings(stopStrings, tokenizer) : undefined;
    this.#criteria = stoppingCriteria;
    this.#context = context;
  }

  /** Whether ids and lengths alone tell where sequences end: nothing looks at them after every token. */
  get byIdsAndLength(): boolean {
    return this.#stopStrings === undefined && this.#criteria.length === 0;
  }

  /** Tokens that a sequence may have by its length; `longest` as in `reason`. */
  most(longest: number): number {
    return Math.min(longest, this.#context);
  }

  /**
   * @param ids prompt and new tokens, of which there is one at least
   * @param longest tokens that the sequence may have by the options of the call
   */
  reason(ids: readonly number[], longest: number): FinishReason | undefined {
    if (this.#eos.has(ids.at(-1) ?? -1)) return 'eos';
    if (this.#stopStrings?.matches(ids)) return 'stop_string';
    if (this.#criteria.some((criterion) => criterion(ids))) return 'stopping_criteria';
    if (ids.length >= longest) return 'length';
    return ids.length >= this.#context ? 'context' : undefined;
  }
}
