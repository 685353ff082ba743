import { OctoformerError } from '../binding/error';
import { checkBoolean, checkNumber } from '../binding/options';
import type { TokenizedText, Tokenizer } from '../tokenization';

/** How a text that a model is to read becomes tokens. */
export interface EncodedTextOptions {
  readonly text_pair?: string | undefined;
  readonly add_special_tokens?: boolean | undefined;
  /** Tokens at most; all by default. */
  readonly maxTokens?: number | undefined;
}

/**
 * A text as a tokenizer has it, and its ids, the first `maxTokens` of them.
 * @throws OctoformerError INVALID_ARGUMENT for a text without tokens, and options that are no such numbers
 */
export function encodedText(
  where: string,
  tokenizer: Tokenizer,
  text: string,
  { text_pair, add_special_tokens = true, maxTokens }: EncodedTextOptions,
): { readonly encoded: TokenizedText; readonly ids: readonly number[] } {
  const encoded = tokenizer.encode(text, {
    add_special_tokens: checkBoolean(where, 'add_special_tokens', add_special_tokens),
    ...(text_pair === undefined ? {} : { text_pair }),
  });
  const most =
    maxTokens === undefined ? undefined : checkNumber(where, 'maxTokens', maxTokens, { least: 1, integer: true });
  const ids = encoded.input_ids.slice(0, most);
  if (ids.length > 0) return { encoded, ids };
  throw new OctoformerError('INVALID_ARGUMENT', `${where}: the text has no tokens; give one with at least a word`);
}
