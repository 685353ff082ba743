import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import { promptNamed, type SentencePrompts, sentencePrompts } from './sentence_prompts';
import type { SentenceSource } from './sentence_source';
import { plainVectors, type SentenceVectors, sentenceVectors } from './sentence_vectors';

/** Options that say what goes before every text. */
export interface PromptOptions {
  /** Goes before every text, such as `query: `. */
  readonly prompt?: string;
  /** The same by its name in `config_sentence_transformers.json`, such as `query` or `document`. */
  readonly prompt_name?: string;
}

/** What sentence-transformers' files beside a model say: each is read when it is first asked for. */
export class SentenceSettings {
  readonly #source: SentenceSource;
  #vectors: SentenceVectors | undefined;
  #prompts: SentencePrompts | undefined;

  constructor(source: SentenceSource) {
    this.#source = source;
  }

  /** @throws OctoformerError what `sentenceVectors` throws */
  async vectors(signal?: AbortSignal): Promise<SentenceVectors> {
    this.#vectors ??= await sentenceVectors(this.#at(signal));
    return this.#vectors;
  }

  /**
   * The text that goes before every other.
   * @param takesDefault whether, where nobody says which, it is the one that the files name
   * @throws OctoformerError INVALID_ARGUMENT, and what `sentencePrompts` throws
   */
  async prompt({ prompt, prompt_name }: PromptOptions, takesDefault: boolean, signal?: AbortSignal): Promise<string> {
    const { where } = this.#source;
    if (prompt !== undefined && prompt_name !== undefined) {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        `${where}: 'prompt' and 'prompt_name' exclude one another; give one`,
      );
    }
    if (typeof prompt === 'string') return prompt;
    if (prompt !== undefined) {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        `option 'prompt' of ${where} must be a text, not ${describeValue(prompt)}`,
      );
    }
    if (prompt_name === undefined && !(takesDefault && (await this.vectors(signal)) !== plainVectors)) return '';
    this.#prompts ??= await sentencePrompts(this.#at(signal));
    const name = prompt_name ?? this.#prompts.default;
    return name === undefined ? '' : promptNamed(where, this.#prompts, name);
  }

  /** A call has its own signal: that of loading may be long over. */
  #at(signal: AbortSignal | undefined): SentenceSource {
    const { signal: _, ...source } = this.#source;
    return signal ? { ...source, signal } : source;
  }
}
