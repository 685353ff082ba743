import type { Comparison } from './comparison';

/** A row to be: comparisons come column by column. */
export interface Candidate {
  readonly name: string;
  readonly family?: () => string;
  readonly compare: () => AsyncIterable<readonly [column: string, comparisons: readonly Comparison[]]>;
}

/** A section to be. */
export interface Plan {
  readonly name: string;
  readonly columns: readonly string[];
  readonly candidates: () => readonly Candidate[];
}

/** What is needed for a comparison isn't on this machine, such as the weights of a real model. */
export class AbsentError extends Error {}
