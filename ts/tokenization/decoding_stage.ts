/**
 * A step from tokens to text that works as the tokens come. Tokens arrive in chunks: `begins` and `ends` say where a token starts and is
 * complete (a fused text is one token that ends at the flush). So decoding a stream and decoding a list are the same computation.
 */
export interface Stage {
  push(text: string, begins: boolean, ends: boolean, emit: Emit): void;
  flush(emit: Emit): void;
}

export type Emit = (text: string, begins: boolean, ends: boolean) => void;

/** Makes fresh stages for one stream. */
export type Decoder = () => Stage[];
