import { pairHash } from './pair_table';

/**
 * The merges of byte pair encoding by the ids of their two tokens: a hash table with open addressing and linear probing whose slots hold
 * ranks, half full at most; -1 is free.
 */
export class MergeTable {
  /**
   * @param merges three ids each, of the left and the right token and of both together, first the merge that goes first
   * @param slots where others have filled them (native/formats/token_tables.h)
   */
  constructor(
    private readonly merges: Int32Array,
    readonly slots: Int32Array = slotsOf(merges),
  ) {}

  /** The place of a pair in the order of merges, or -1. */
  rank(left: number, right: number): number {
    return this.slots[slotOf(this.slots, this.merges, left, right)] as number;
  }

  /** What a merge makes. */
  result(rank: number): number {
    return this.merges[3 * rank + 2] as number;
  }
}

/** Of several merges of one pair the last counts. */
function slotsOf(merges: Int32Array): Int32Array {
  let capacity = 16;
  while (capacity < (2 * merges.length) / 3) capacity *= 2;
  const slots = new Int32Array(capacity).fill(-1);
  for (let at = 0, rank = 0; at < merges.length; at += 3, rank++)
    slots[slotOf(slots, merges, merges[at] as number, merges[at + 1] as number)] = rank;
  return slots;
}

/** The slot of a pair, which is free if there is no such merge. */
function slotOf(slots: Int32Array, merges: Int32Array, left: number, right: number): number {
  const mask = slots.length - 1;
  let slot = pairHash(left, right) & mask;
  for (let rank = slots[slot] as number; rank >= 0; rank = slots[slot] as number) {
    if (merges[3 * rank] === left && merges[3 * rank + 1] === right) break;
    slot = (slot + 1) & mask;
  }
  return slot;
}
