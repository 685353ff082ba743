import { byteTokens } from './byte_tokens';
import type { JsonPart } from './json_part';
import { MergeTable } from './merge_table';
import { MinHeap } from './min_heap';
import type { TokenModel, WordTokens } from './token_model';
import { hashOf, type TokenTable } from './token_table';
import { utf8Length } from './unicode';
import { Vocabulary } from './vocabulary';

/** Pairs are merged in the order of (rank, position), packed into one number: positions stay below 2^32. */
const RANK_UNIT = 2 ** 32;

/** The beginning of a word: ids of its characters and how many bytes of the word each covers. */
interface Symbols {
  readonly ids: number[];
  readonly bytes: number[];
}

/**
 * Byte pair encoding (Sennrich et al. 2016): the characters of a word are joined pair by pair, the pair with the lowest rank first, the
 * leftmost of equals first. A heap of candidates and a linked list of symbols make it O(n log n).
 */
class Bpe implements TokenModel {
  readonly type = 'BPE';
  readonly vocabulary: Vocabulary;
  private readonly merges: MergeTable;
  private readonly unknownToken: string | null;
  private readonly prefix: string;
  private readonly suffix: string;
  private readonly fuseUnknown: boolean;
  private readonly byteFallback: boolean;
  private readonly ignoreMerges: boolean;

  constructor(private readonly part: JsonPart) {
    this.vocabulary = Vocabulary.read(part.get('vocab'));
    this.unknownToken = part.get('unk_token').optionalString();
    this.prefix = part.get('continuing_subword_prefix').string('');
    this.suffix = part.get('end_of_word_suffix').string('');
    this.fuseUnknown = part.get('fuse_unk').boolean(false);
    this.byteFallback = part.get('byte_fallback').boolean(false);
    this.ignoreMerges = part.get('ignore_merges').boolean(false);
    const dropout = part.get('dropout');
    if (!dropout.isMissing && dropout.value !== 0)
      throw dropout.fail('dropout makes tokens random and serves training only', 'set it to null');
    const merges = part.get('merges');
    this.merges = merges.value instanceof MergeTable ? merges.value : new MergeTable(this.readMerges(merges));
  }

  /** Merges as ids of the left token, of the right one, and of what they make together. */
  private readMerges(part: JsonPart): Int32Array {
    const items = part.values();
    const { table } = this.vocabulary;
    const triples = new Int32Array(3 * items.length);
    let count = 0;
    for (let place = 0; place < items.length; place++) {
      const item = items[place];
      if (typeof item === 'string' && item.startsWith('#version')) continue;
      const at = 3 * count++;
      if (typeof item !== 'string' || this.prefix !== '' || !mergeOfText(item, table, triples, at))
        triples.set(this.mergeOf(part, item, place), at);
    }
    return triples.subarray(0, 3 * count);
  }

  private mergeOf(part: JsonPart, item: unknown, index: number): [number, number, number] {
    const pair: unknown = typeof item === 'string' ? item.split(' ') : item;
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string' || typeof pair[1] !== 'string')
      throw part.fail(`merge ${index} is ${JSON.stringify(item)?.slice(0, 60)}, not a pair of tokens`);
    const [left, right] = pair as [string, string];
    const idOf = (token: string): number => {
      const id = this.vocabulary.id(token);
      if (id === undefined)
        throw part.fail(
          `merge ${index} (${JSON.stringify(item)}) needs the token ${JSON.stringify(token)}, which is not in the vocabulary`,
        );
      return id;
    };
    return [
      idOf(left),
      idOf(right),
      idOf(left + (right.startsWith(this.prefix) ? right.slice(this.prefix.length) : right)),
    ];
  }

  tokenize(word: string): WordTokens {
    if (this.ignoreMerges) {
      const id = this.vocabulary.id(word);
      if (id !== undefined) return { ids: [id], starts: [0], ends: [word.length] };
    }
    const symbols = this.symbols(word);
    return toUnits(word, this.merge(symbols));
  }

  private symbols(word: string): Symbols {
    const ids: number[] = [];
    const bytes: number[] = [];
    let unknownBytes = 0;
    const flush = (): void => {
      if (unknownBytes === 0) return;
      ids.push(this.unknownId());
      bytes.push(unknownBytes);
      unknownBytes = 0;
    };
    for (let at = 0; at < word.length; ) {
      const code = word.codePointAt(at) as number;
      const character = code > 0xffff ? word.slice(at, at + 2) : word.charAt(at);
      const isFirst = at === 0;
      at += character.length;
      const symbol = `${isFirst ? '' : this.prefix}${character}${at === word.length ? this.suffix : ''}`;
      const id = this.vocabulary.id(symbol);
      if (id !== undefined) {
        flush();
        ids.push(id);
        bytes.push(utf8Length(code));
        continue;
      }
      const fallback = this.byteFallback ? byteTokens(this.vocabulary, symbol) : null;
      if (fallback !== null) {
        for (const token of fallback) {
          ids.push(token);
          bytes.push(1);
        }
      } else if (this.unknownToken !== null) {
        if (!this.fuseUnknown) flush();
        unknownBytes += utf8Length(code);
      }
    }
    flush();
    return { ids, bytes };
  }

  private unknownId(): number {
    const id = this.vocabulary.id(this.unknownToken as string);
    if (id === undefined)
      throw this.part
        .get('unk_token')
        .fail(`the unknown token ${JSON.stringify(this.unknownToken)} is not in the vocabulary`);
    return id;
  }

  private merge(symbols: Symbols): Symbols {
    const { ids, bytes } = symbols;
    const count = ids.length;
    if (count < 2) return symbols;
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    const queue = new MinHeap();
    const offer = (left: number, right: number): void => {
      const rank = this.merges.rank(ids[left] as number, ids[right] as number);
      if (rank >= 0) queue.push(rank * RANK_UNIT + left);
    };
    for (let i = 0; i < count; i++) {
      previous[i] = i - 1;
      next[i] = i + 1 < count ? i + 1 : -1;
      if (i + 1 < count) offer(i, i + 1);
    }
    for (let top = queue.pop(); top !== undefined; top = queue.pop()) {
      const rank = Math.floor(top / RANK_UNIT);
      const left = top - rank * RANK_UNIT;
      const right = next[left] as number;
      if (bytes[left] === 0 || right < 0) continue;
      const merged = this.merges.result(rank);
      // The entry is stale if the pair that stands here now makes another token.
      const now = this.merges.rank(ids[left] as number, ids[right] as number);
      if (now < 0 || this.merges.result(now) !== merged) continue;
      ids[left] = merged;
      bytes[left] = (bytes[left] as number) + (bytes[right] as number);
      bytes[right] = 0;
      const after = next[right] as number;
      next[left] = after;
      if (after >= 0) previous[after] = left;
      if ((previous[left] as number) >= 0) offer(previous[left] as number, left);
      if (after >= 0) offer(left, after);
    }
    const result: Symbols = { ids: [], bytes: [] };
    for (let i = 0; i < count; i++) {
      if (bytes[i] === 0) continue;
      result.ids.push(ids[i] as number);
      result.bytes.push(bytes[i] as number);
    }
    return result;
  }
}

/**
 * Places of the symbols in UTF-16 units. Symbols follow each other by their bytes, as in the reference, so a part of a character stands for the
 * whole of it, and characters that were dropped (no unknown token) shift what comes after them.
 */
function toUnits(word: string, { ids, bytes }: Symbols): WordTokens {
  const starts: number[] = [];
  const ends: number[] = [];
  let unit = 0;
  let unitByte = 0;
  let byte = 0;
  /** Moves to the character that holds `target`. */
  const seek = (target: number): number => {
    for (;;) {
      const code = word.codePointAt(unit) as number;
      if (target < unitByte + utf8Length(code)) return code > 0xffff ? 2 : 1;
      unitByte += utf8Length(code);
      unit += code > 0xffff ? 2 : 1;
    }
  };
  for (const length of bytes) {
    seek(byte);
    starts.push(unit);
    byte += length;
    const width = seek(byte - 1);
    ends.push(unit + width);
  }
  return { ids, starts, ends };
}

/**
 * Puts the ids of a merge such as `he llo`, whose tokens follow each other as they are, into `out`. False for any other, and for one of
 * tokens that there aren't.
 */
function mergeOfText(text: string, table: TokenTable, out: Int32Array, at: number): boolean {
  const { length } = text;
  const space = text.indexOf(' ');
  const second = space + 1;
  if (space < 0 || text.indexOf(' ', second) >= 0) return false;
  const hash = hashOf(text, 0, space);
  const left = table.find(hash, text, 0, space);
  const right = table.find(hashOf(text, second, length), text, second, length);
  const merged = table.find(hashOf(text, second, length, hash), text, 0, space, text, second, length);
  out[at] = left;
  out[at + 1] = right;
  out[at + 2] = merged;
  return left >= 0 && right >= 0 && merged >= 0;
}

/** Builds a BPE model. Its merges may be given as a table already. Throws INVALID_TOKENIZER, among others for merges of tokens that the vocabulary does not have. */
export function readBpe(part: JsonPart): TokenModel {
  return new Bpe(part);
}
