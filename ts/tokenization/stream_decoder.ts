import type { DecoderStream } from './decoders';
import type { DecodeOptions, Tokenizer } from './tokenizer';

/**
 * Turns generated ids into text as they come. A piece never ends within a character, all pieces joined equal `tokenizer.decode` of
 * all ids, and the cost of a token does not depend on how many came before it. With byte fallback tokens (`<0x..>`) a piece waits for
 * the end of the run of bytes, since a run that is not UTF-8 is decoded otherwise as a whole.
 */
export class TokenStreamDecoder {
  private readonly stream: DecoderStream;
  private readonly skipSpecialTokens: boolean;

  constructor(
    private readonly tokenizer: Tokenizer,
    options: DecodeOptions = {},
  ) {
    this.stream = tokenizer.createDecoderStream(options);
    this.skipSpecialTokens = options.skip_special_tokens ?? false;
  }

  /** Takes the next id and gives the text that is certain by now, which may be empty. */
  push(id: number): string {
    const token = this.tokenizer.decodableToken(id, this.skipSpecialTokens);
    return token === null ? '' : this.stream.push(token);
  }

  /** Ends the stream and gives what was held back: incomplete characters come as U+FFFD. */
  flush(): string {
    return this.stream.flush();
  }
}
