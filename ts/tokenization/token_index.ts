import type { Vocabulary } from './vocabulary';

const SEED = 0x811c9dc5 | 0;

/** Goes on with a hash (Fowler, Noll and Vo's 1a, over UTF-16 units). */
function hashOf(text: string, begin: number, end: number, hash: number): number {
  let state = hash;
  for (let at = begin; at < end; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return state;
}

/**
 * Finds tokens by parts of a text without making strings of them: a tokenizer has 100,000 merges of three tokens each, and most of the time
 * that it takes to open one would go into strings that live for a moment.
 */
export class TokenIndex {
  /** Open addressing with linear probing, half full at most; -1 is free. */
  private readonly ids: Int32Array;
  private readonly hashes: Int32Array;
  private readonly mask: number;

  constructor(private readonly vocabulary: Vocabulary) {
    let capacity = 16;
    while (capacity < 2 * vocabulary.idLimit) capacity *= 2;
    this.mask = capacity - 1;
    this.ids = new Int32Array(capacity).fill(-1);
    this.hashes = new Int32Array(capacity);
    for (let id = 0; id < vocabulary.idLimit; id++) {
      const token = vocabulary.token(id);
      if (token === undefined) continue;
      const hash = hashOf(token, 0, token.length, SEED);
      let slot = this.firstSlot(hash);
      while (this.ids[slot] !== -1) slot = (slot + 1) & this.mask;
      this.ids[slot] = id;
      this.hashes[slot] = hash;
    }
  }

  /**
   * The ids of both sides of a merge such as `he llo` and of what they make together, -1 for what is no token.
   * @param space where the text is cut
   */
  merge(text: string, space: number, out: Int32Array): void {
    const { length } = text;
    const left = hashOf(text, 0, space, SEED);
    out[0] = this.find(left, text, 0, space, space, space);
    out[1] = this.find(hashOf(text, space + 1, length, SEED), text, space + 1, length, length, length);
    out[2] = this.find(hashOf(text, space + 1, length, left), text, 0, space, space + 1, length);
  }

  private firstSlot(hash: number): number {
    return (hash ^ (hash >>> 15)) & this.mask;
  }

  /** The token that two ranges of a text make, one after the other. */
  private find(hash: number, text: string, begin: number, end: number, begin2: number, end2: number): number {
    const length = end - begin + end2 - begin2;
    for (let slot = this.firstSlot(hash); this.ids[slot] !== -1; slot = (slot + 1) & this.mask) {
      if (this.hashes[slot] !== hash) continue;
      const id = this.ids[slot] as number;
      const token = this.vocabulary.token(id) as string;
      if (token.length !== length) continue;
      let place = 0;
      let at = begin;
      while (at < end && token.charCodeAt(place) === text.charCodeAt(at)) {
        place++;
        at++;
      }
      if (at < end) continue;
      at = begin2;
      while (at < end2 && token.charCodeAt(place) === text.charCodeAt(at)) {
        place++;
        at++;
      }
      if (at === end2) return id;
    }
    return -1;
  }
}
