import type { Decoder } from './options';

/**
 * Whether the text ends with one of the strings, as Hugging Face's StopStringCriteria sees it: the string ends within the last token,
 * whatever that token has after it. Only the last tokens are decoded: as many as the longest string has characters, since every
 * token but a few special ones gives at least one.
 */
export class StopStrings {
  readonly #strings: readonly string[];
  readonly #decoder: Decoder;
  readonly #window: number;

  constructor(strings: readonly string[], decoder: Decoder) {
    this.#strings = strings;
    this.#decoder = decoder;
    // Three more tokens than characters: a character may need up to four byte tokens, which decode only together.
    this.#window = Math.max(...strings.map((text) => text.length)) + 3;
  }

  /** @param ids the prompt and what was generated after it */
  matches(ids: readonly number[]): boolean {
    const tail = ids.slice(-this.#window);
    const text = this.#decoder.decode(tail);
    const before = this.#decoder.decode(tail.slice(0, -1));
    const settled = commonPrefixLength(text, before);
    return this.#strings.some((stop) => text.indexOf(stop, Math.max(0, settled - stop.length + 1)) >= 0);
  }
}

/** The text before the last token; an incomplete character at its end may have changed since. */
function commonPrefixLength(text: string, before: string): number {
  let length = Math.min(text.length, before.length);
  while (!text.startsWith(before.slice(0, length))) length--;
  return length;
}
