import { OctoformerError } from '../binding/error';
import { checkBoolean, checkOptions, describeValue } from '../binding/options';
import type { Tokenizer } from '../tokenization';
import { tokensOfText, type VisualToken } from './token';
import { tokensAnsi } from './tokens_ansi';
import { tokensHtml } from './tokens_html';
import { tokensSvg } from './tokens_svg';
import { type Visualization, visualization } from './visualization';

/** How a tokenizer cuts a text. */
export interface TokensData {
  readonly text: string;
  readonly tokens: readonly VisualToken[];
}

export interface TokensOptions {
  /** Whether the tokens that the tokenizer puts around a text are there too; `true` by default. */
  readonly add_special_tokens?: boolean;
}

const where = 'visualize.tokens()';

/** `visualize.tokens()`. */
export async function showTokens(
  tokenizer: Tokenizer,
  text: string,
  options: TokensOptions,
): Promise<Visualization<TokensData>> {
  checkOptions(where, options, ['add_special_tokens']);
  const add_special_tokens = checkBoolean(where, 'add_special_tokens', options.add_special_tokens ?? true);
  checkText(where, text);
  const encoded = tokenizer.encode(text, { add_special_tokens });
  const data: TokensData = { text, tokens: tokensOfText(tokenizer, encoded, text) };
  return visualization(data, { svg: tokensSvg, html: tokensHtml, ansi: tokensAnsi });
}

/** @throws OctoformerError INVALID_ARGUMENT unless it is a text */
export function checkText(called: string, text: unknown): asserts text is string {
  if (typeof text === 'string') return;
  throw new OctoformerError('INVALID_ARGUMENT', `${called}: text must be a string, not ${describeValue(text)}`);
}
