/** The same as of native/formats/token_tables.cc. */
export function pairHash(first: number, second: number): number {
  const hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca6b);
  return hash ^ (hash >>> 15);
}

/**
 * A hash table from two non-negative integers to one, in typed arrays: a `Map` of a million pairs would take ten times the memory
 * and be slower to read. Open addressing with linear probing.
 */
export class PairTable {
  private firsts: Int32Array;
  private seconds: Int32Array;
  private values: Int32Array;
  private mask: number;
  private size = 0;

  constructor(expected: number) {
    let capacity = 16;
    while (capacity < 2 * expected) capacity *= 2;
    this.mask = capacity - 1;
    this.firsts = new Int32Array(capacity).fill(-1);
    this.seconds = new Int32Array(capacity);
    this.values = new Int32Array(capacity);
  }

  private slot(first: number, second: number): number {
    let slot = pairHash(first, second) & this.mask;
    while (this.firsts[slot] !== -1 && (this.firsts[slot] !== first || this.seconds[slot] !== second))
      slot = (slot + 1) & this.mask;
    return slot;
  }

  /** The value of a pair, or -1. */
  get(first: number, second: number): number {
    const slot = this.slot(first, second);
    return this.firsts[slot] === -1 ? -1 : (this.values[slot] as number);
  }

  set(first: number, second: number, value: number): void {
    const slot = this.slot(first, second);
    if (this.firsts[slot] === -1) {
      this.size++;
      this.firsts[slot] = first;
      this.seconds[slot] = second;
    }
    this.values[slot] = value;
    if (2 * this.size > this.mask) this.grow();
  }

  private grow(): void {
    const { firsts, seconds, values } = this;
    const capacity = 2 * (this.mask + 1);
    this.mask = capacity - 1;
    this.firsts = new Int32Array(capacity).fill(-1);
    this.seconds = new Int32Array(capacity);
    this.values = new Int32Array(capacity);
    for (let i = 0; i < firsts.length; i++) {
      if (firsts[i] === -1) continue;
      const slot = this.slot(firsts[i] as number, seconds[i] as number);
      this.firsts[slot] = firsts[i] as number;
      this.seconds[slot] = seconds[i] as number;
      this.values[slot] = values[i] as number;
    }
  }
}

/** A set of strings in which all that begin at a place of a text are found in one walk. */
export class Trie {
  private readonly children: PairTable;
  /** Value of the string that ends in a node, or -1. */
  private readonly ends: number[] = [-1];

  constructor(expectedCharacters: number) {
    this.children = new PairTable(expectedCharacters);
  }

  add(text: string, value: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      let child = this.children.get(node, unit);
      if (child < 0) {
        child = this.ends.length;
        this.children.set(node, unit, child);
        this.ends.push(-1);
      }
      node = child;
    }
    this.ends[node] = value;
  }

  /** The child of a node (the root is 0), or -1. */
  step(node: number, unit: number): number {
    return this.children.get(node, unit);
  }

  valueAt(node: number): number {
    return this.ends[node] as number;
  }
}
