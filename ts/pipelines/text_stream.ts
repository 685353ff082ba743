import type { FinishReason } from '../generation/ending';
import type { GenerationRun, GenerationStatistics } from '../generation/generation_run';
import type { GenerateOptions } from '../generation/options';
import { type DecodeOptions, type Tokenizer, TokenStreamDecoder } from '../tokenization';

/** Options of `generate` that a stream takes. */
export type StreamOptions = Omit<GenerateOptions, 'streamer'>;

/** Options of calls that a stream has no use for, and what there is instead. */
export const notOfStreams = {
  streamer: 'the stream itself gives the pieces: iterate over it',
  batch_size: 'it is of one text',
};

/** What a stream is made of. */
export interface TextStreamParts {
  /** Starts the generation; called when the first piece is asked for. */
  begin(): GenerationRun;
  /** Called once when the generation ended in whatever way, with the text. */
  onEnd?(text: string, run: GenerationRun): void;
  /** Whether what the sequence begins with is part of the text, as the start of an encoder-decoder's is; false by default. */
  readonly fromStart?: boolean;
  /** How tokens become text. Special ones are left out, unless it says otherwise. */
  readonly decoding?: DecodeOptions;
}

/**
 * A text as it is generated: iterate over it for the pieces. Tokens are made when the next piece is asked for; leaving the loop ends the
 * generation. Afterwards `statistics` and `finishReason` say how it went.
 */
export class TextStream implements AsyncIterableIterator<string> {
  readonly #pieces: AsyncGenerator<string, void, undefined>;
  #statistics: GenerationStatistics | undefined;
  #finishReason: FinishReason | undefined;

  constructor(tokenizer: Tokenizer, parts: TextStreamParts) {
    this.#pieces = this.#generate(tokenizer, parts);
  }

  async *#generate(
    tokenizer: Tokenizer,
    { begin, onEnd, fromStart = false, decoding }: TextStreamParts,
  ): AsyncGenerator<string, void, undefined> {
    const run = begin();
    const decoder = new TokenStreamDecoder(tokenizer, { skip_special_tokens: true, ...decoding });
    const start = fromStart ? (run.sequences[0] ?? []) : [];
    let piece = start.map((id) => decoder.push(id)).join('');
    let text = '';
    try {
      while (!run.done) {
        for (const id of run.lastTokens(await run.step())) piece += decoder.push(id);
        text += piece;
        if (piece !== '') yield piece;
        piece = '';
      }
      const rest = piece + decoder.flush();
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
