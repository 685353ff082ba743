import type { NativeTokenTables } from '../binding/native';

const SEED = 0x811c9dc5 | 0;

/** Goes on with a hash (Fowler, Noll and Vo's 1a, over UTF-16 units; native/formats/token_tables.cc has the same). */
export function hashOf(text: string, begin: number, end: number, hash: number = SEED): number {
  let state = hash;
  for (let at = begin; at < end; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return state;
}

/**
 * Tokens by their ids, and ids by tokens or by parts of a text, without a string for each: 100,000 strings and a `Map` of them would take most
 * of the time in which a small model starts, and more memory than the rest of its tokenizer.
 */
export class TokenTable {
  /** Different tokens. */
  readonly size: number;
  /** Ids in a hash table with open addressing and linear probing, half full at most; -1 is free. */
  readonly slots: Int32Array;
  private readonly mask: number;

  /**
   * @param text of all tokens, in the order of their ids
   * @param ends where each ends in it
   * @param holes ids that no token has; they have no text
   * @param slots where others have filled them with ids of different tokens (native/formats/token_tables.h)
   */
  constructor(
    readonly text: string,
    private readonly ends: Uint32Array,
    private readonly holes: ReadonlySet<number> = new Set(),
    slots?: Int32Array,
  ) {
    const count = ends.length;
    let capacity = 16;
    while (capacity < 2 * count) capacity *= 2;
    this.slots = slots ?? new Int32Array(capacity).fill(-1);
    this.mask = this.slots.length - 1;
    let size = slots ? count : 0;
    for (let id = 0, begin = 0; id < count && !slots; id++) {
      const end = ends[id] as number;
      if (begin < end || !holes.has(id)) size += this.index(id, begin, end);
      begin = end;
    }
    this.size = size;
  }

  static of(tokens: readonly (string | undefined)[]): TokenTable {
    const ends = new Uint32Array(tokens.length);
    const holes = new Set<number>();
    let end = 0;
    for (let id = 0; id < tokens.length; id++) {
      const token = tokens[id];
      if (token === undefined) holes.add(id);
      else end += token.length;
      ends[id] = end;
    }
    return new TokenTable(tokens.join(''), ends, holes);
  }

  static ofNative({ text, ends, slots }: NativeTokenTables): TokenTable {
    return new TokenTable(text, ends, undefined, slots);
  }

  /** One more than the largest id. */
  get idLimit(): number {
    return this.ends.length;
  }

  /** The token of an id, undefined for an id that none has. */
  token(id: number): string | undefined {
    if (!(id in this.ends) || this.holes.has(id)) return undefined;
    return this.text.slice(this.beginOf(id), this.ends[id]);
  }

  /** The id of a token, or -1: of several the last. */
  id(token: string): number {
    return this.find(hashOf(token, 0, token.length), token, 0, token.length);
  }

  /**
   * The token that a range of a text makes, or ranges of two texts one after the other, or -1.
   * @param hash of it all
   */
  find(hash: number, text: string, begin: number, end: number, text2 = text, begin2 = end, end2 = end): number {
    const { slots, mask } = this;
    for (let slot = firstSlot(hash, mask); slots[slot] !== -1; slot = (slot + 1) & mask) {
      const id = slots[slot] as number;
      const middle = this.beginOf(id) + end - begin;
      const length = end - begin + end2 - begin2;
      if ((this.ends[id] as number) - this.beginOf(id) !== length) continue;
      if (this.matches(this.beginOf(id), text, begin, end) && this.matches(middle, text2, begin2, end2)) return id;
    }
    return -1;
  }

  private beginOf(id: number): number {
    return id === 0 ? 0 : (this.ends[id - 1] as number);
  }

  private matches(place: number, text: string, begin: number, end: number): boolean {
    for (let at = begin, mine = place; at < end; at++, mine++)
      if (this.text.charCodeAt(mine) !== text.charCodeAt(at)) return false;
    return true;
  }

  /** Makes the token of an id known; 1 if there was none like it. */
  private index(id: number, begin: number, end: number): number {
    const { slots, mask } = this;
    const hash = hashOf(this.text, begin, end);
    const earlier = this.find(hash, this.text, begin, end);
    let slot = firstSlot(hash, mask);
    while (slots[slot] !== earlier) slot = (slot + 1) & mask;
    slots[slot] = id;
    return earlier < 0 ? 1 : 0;
  }
}

function firstSlot(hash: number, mask: number): number {
  return (hash ^ (hash >>> 15)) & mask;
}
