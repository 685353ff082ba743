import type { FinishReason } from '../generation/ending';
import type { GenerationRun, GenerationStatistics } from '../generation/generation_run';
import { type Tokenizer, TokenStreamDecoder } from '../tokenization';

/**
 * A text as it is generated: iterate over it for the pieces. Tokens are made when the next piece is asked for; leaving the loop ends the
 * generation. Afterwards `statistics` and `finishReason` say how it went.
 */
export class TextStream implements AsyncIterableIterator<string> {
  readonly #pieces: AsyncGenerator<string, void, undefined>;
  #statistics: GenerationStatistics | undefined;
  #finishReason: FinishReason | undefined;

  /**
   * @param begin starts the generation; called when the first piece is asked for
   * @param onEnd called once when the generation ended in whatever way, with the text
   */
  constructor(tokenizer: Tokenizer, begin: () => GenerationRun, onEnd?: (text: string, run: GenerationRun) => void) {
    this.#pieces = this.#generate(tokenizer, begin, onEnd);
  }

  async *#generate(
    tokenizer: Tokenizer,
    begin: () => GenerationRun,
    onEnd?: (text: string, run: GenerationRun) => void,
  ): AsyncGenerator<string, void, undefined> {
    const run = begin();
    const decoder = new TokenStreamDecoder(tokenizer, { skip_special_tokens: true });
    let text = '';
    try {
      while (!run.done) {
        const gained = await run.step();
        let piece = '';
        for (const id of run.lastTokens(gained)) piece += decoder.push(id);
        text += piece;
        if (piece !== '') yield piece;
      }
      const rest = decoder.flush();
      text += rest;
      this.#finishReason = run.finishReasons[0];
      if (rest !== '') yield rest;
    } finally {
      this.#statistics = run.statistics;
      onEnd?.(text, run);
      run.dispose();
    }
  }

  /** Counts and times, once the stream has ended. */
  get statistics(): GenerationStatistics | undefined {
    return this.#statistics;
  }

  /** Why it ended; undefined while it runs, and if it was left or aborted. */
  get finishReason(): FinishReason | undefined {
    return this.#finishReason;
  }

  next(): Promise<IteratorResult<string, void>> {
    return this.#pieces.next();
  }

  return(): Promise<IteratorResult<string, void>> {
    return this.#pieces.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
