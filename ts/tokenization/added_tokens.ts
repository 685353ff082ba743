import { AlignedText } from './aligned_text';
import type { JsonPart } from './json_part';
import type { Normalizer } from './normalizers';
import { Trie } from './pair_table';
import { WHITE_SPACE, WORD } from './unicode';
import { HOLES_ALLOWED, type Vocabulary } from './vocabulary';

/** A token that is found in the text before anything else, as a whole. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no word character stands before or after it. */
  readonly single_word: boolean;
  /** Takes the white space before it along. */
  readonly lstrip: boolean;
  /** Takes the white space after it along. */
  readonly rstrip: boolean;
  /** Looked for in the normalized text (its content normalized too) instead of the raw one. */
  readonly normalized: boolean;
  /** Left out by `skip_special_tokens`. */
  readonly special: boolean;
}

/** A piece of the text: an added token, or what is still to be tokenized (`id` -1). */
export interface TextSection {
  readonly id: number;
  readonly text: AlignedText;
}

const startsWithWord = new RegExp(`^[${WORD}\\u200c\\u200d]`, 'u');
const endsWithWord = new RegExp(`[${WORD}\\u200c\\u200d]$`, 'u');
const leadingSpaces = new RegExp(`^[${WHITE_SPACE}]*`, 'u');
const isSpace = new RegExp(`[${WHITE_SPACE}]`, 'u');

/** Finds added tokens in a text: at each place the longest that begins there. */
class AddedTokenMatcher {
  private readonly trie: Trie;
  private readonly firstUnits = new Uint8Array(0x10000);
  private readonly tokens: AddedToken[] = [];

  constructor(entries: readonly { readonly pattern: string; readonly token: AddedToken }[]) {
    this.trie = new Trie(entries.reduce((sum, { pattern }) => sum + pattern.length, 0));
    for (const { pattern, token } of entries) {
      if (pattern.length === 0) continue;
      this.trie.add(pattern, this.tokens.length);
      this.tokens.push(token);
      this.firstUnits[pattern.charCodeAt(0)] = 1;
    }
  }

  split(source: AlignedText, splitSpecialTokens: boolean): TextSection[] {
    const { text } = source;
    if (this.tokens.length === 0) return [{ id: -1, text: source }];
    const sections: TextSection[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      if (this.firstUnits[text.charCodeAt(at)] === 0) {
        at++;
        continue;
      }
      const found = this.longestAt(text, at);
      if (found === null) {
        at++;
        continue;
      }
      const { token } = found;
      let start = at;
      let end = found.end;
      at = end;
      if (splitSpecialTokens && token.special) continue;
      if (
        token.single_word &&
        (endsWithWord.test(text.slice(Math.max(0, start - 2), start)) || startsWithWord.test(text.slice(end, end + 2)))
      )
        continue;
      if (token.lstrip) while (start > done && isSpace.test(text.charAt(start - 1))) start--;
      if (token.rstrip) end += (leadingSpaces.exec(text.slice(end)) as RegExpExecArray)[0].length;
      if (start > done) sections.push({ id: -1, text: source.slice(done, start) });
      sections.push({ id: token.id, text: source.slice(start, end) });
      done = end;
    }
    if (done < text.length) sections.push({ id: -1, text: source.slice(done, text.length) });
    return sections;
  }

  private longestAt(text: string, start: number): { token: AddedToken; end: number } | null {
    let best: { token: AddedToken; end: number } | null = null;
    for (let at = start, node = 0; at < text.length; ) {
      node = this.trie.step(node, text.charCodeAt(at++));
      if (node < 0) break;
      const value = this.trie.valueAt(node);
      if (value >= 0) best = { token: this.tokens[value] as AddedToken, end: at };
    }
    return best;
  }
}

/** All added tokens of a tokenizer, by id. */
export class AddedTokens {
  readonly list: readonly AddedToken[];
  private readonly specialContents: ReadonlySet<string>;
  private readonly raw: AddedTokenMatcher;
  private readonly normalized: AddedTokenMatcher;

  constructor(
    tokens: readonly AddedToken[],
    private readonly normalizer: Normalizer | null,
  ) {
    this.list = tokens;
    this.specialContents = new Set(tokens.filter(({ special }) => special).map(({ content }) => content));
    this.raw = new AddedTokenMatcher(
      tokens.filter(({ normalized }) => !normalized).map((token) => ({ pattern: token.content, token })),
    );
    this.normalized = new AddedTokenMatcher(
      tokens.filter(({ normalized }) => normalized).map((token) => ({ pattern: this.shown(token), token })),
    );
  }

  /** What decoding writes for an added token: a token that is looked for in normalized text is written normalized. */
  shown(token: AddedToken): string {
    return token.normalized ? this.normalize(token.content) : token.content;
  }

  /** Whether `skip_special_tokens` leaves out a token, by what it is written as: that is how the reference decides. */
  isSpecial(shown: string): boolean {
    return this.specialContents.has(shown);
  }

  private normalize(text: string): string {
    return this.normalizer === null ? text : this.normalizer(AlignedText.of(text)).text;
  }

  /** Cuts a raw text at its added tokens and normalizes what lies between them. */
  split(text: string, splitSpecialTokens: boolean): TextSection[] {
    const result: TextSection[] = [];
    for (const section of this.raw.split(AlignedText.of(text), splitSpecialTokens)) {
      if (section.id >= 0) result.push(section);
      else {
        const normalized = this.normalizer === null ? section.text : this.normalizer(section.text);
        result.push(...this.normalized.split(normalized, splitSpecialTokens));
      }
    }
    return result;
  }
}

/** Reads `added_tokens` of a tokenizer.json. Throws INVALID_TOKENIZER for absurd ids, and for one id or content that stands for two. */
export function readAddedTokens(part: JsonPart, vocabulary: Vocabulary): AddedToken[] {
  if (part.isMissing) return [];
  const items = part.list();
  const limit = 2 * (vocabulary.idLimit + items.length) + HOLES_ALLOWED;
  const byId = new Map<number, string>();
  const byContent = new Map<string, AddedToken>();
  for (const item of items) {
    const content = item.get('content').string();
    const id = item.get('id').count();
    if (id >= limit)
      throw item
        .get('id')
        .fail(`the id ${id} of ${JSON.stringify(content)} leaves too many holes`, `ids have to stay below ${limit}`);
    const other = byId.get(id) ?? vocabulary.token(id);
    if (other !== undefined && other !== content)
      throw item
        .get('id')
        .fail(
          `the id ${id} belongs to both ${JSON.stringify(other)} and ${JSON.stringify(content)}`,
          'give every token its own id',
        );
    const inModel = vocabulary.id(content);
    if (inModel !== undefined && inModel !== id)
      throw item
        .get('id')
        .fail(`${JSON.stringify(content)} has the id ${id} here and ${inModel} in model.vocab`, 'give it one id');
    byId.set(id, content);
    const special = item.get('special').boolean(false);
    byContent.set(content, {
      id,
      content,
      single_word: item.get('single_word').boolean(false),
      lstrip: item.get('lstrip').boolean(false),
      rstrip: item.get('rstrip').boolean(false),
      normalized: item.get('normalized').boolean(!special),
      special,
    });
  }
  return [...byContent.values()];
}
