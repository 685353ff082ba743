import type { VisualToken } from './token';

/** How a tokenizer cuts a text. */
export interface TokensData {
  readonly text: string;
  readonly tokens: readonly VisualToken[];
}
