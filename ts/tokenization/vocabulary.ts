import type { JsonPart } from './json_part';

/**
 * Ids that no token has, beyond as many as there are tokens: published files have a few holes, where tokens were taken out. An id
 * further out would only serve to make tables of billions of entries.
 */
export const HOLES_ALLOWED = 1024;

/** Token strings and their ids, both ways. */
export class Vocabulary {
  private ids = new Map<string, number>();
  private tokens: (string | undefined)[] = [];
  /** With a copy, or with what it is a copy of, until one of them changes. */
  private isShared = false;

  get size(): number {
    return this.ids.size;
  }

  /** One more than the largest id. */
  get idLimit(): number {
    return this.tokens.length;
  }

  add(token: string, id: number): void {
    if (this.tokens[id] === token && this.ids.get(token) === id) return;
    this.own();
    this.ids.set(token, id);
    while (this.tokens.length < id) this.tokens.push(undefined);
    this.tokens[id] = token;
  }

  /** Another vocabulary of the same tokens. */
  copy(): Vocabulary {
    const copy = new Vocabulary();
    copy.ids = this.ids;
    copy.tokens = this.tokens;
    copy.isShared = true;
    this.isShared = true;
    return copy;
  }

  private own(): void {
    if (!this.isShared) return;
    this.ids = new Map(this.ids);
    this.tokens = this.tokens.slice();
    this.isShared = false;
  }

  /** Gives an id another token, while the old one still leads to the id. */
  rename(id: number, token: string): void {
    if (this.tokens[id] === token) return;
    this.own();
    this.tokens[id] = token;
  }

  id(token: string): number | undefined {
    return this.ids.get(token);
  }

  token(id: number): string | undefined {
    return this.tokens[id];
  }

  entries(): IterableIterator<[string, number]> {
    return this.ids.entries();
  }

  /**
   * Of `{"token": id, …}`, or of a map, which is read several times as fast. Throws INVALID_TOKENIZER for ids that are no whole numbers, occur
   * twice, or are far beyond the number of tokens.
   */
  static read(part: JsonPart): Vocabulary {
    if (part.isMissing) throw part.fail('the vocabulary is missing');
    const given: unknown = part.value;
    const ids: ReadonlyMap<string, unknown> = given instanceof Map ? given : mapOf(part.object());
    const limit = 2 * ids.size + HOLES_ALLOWED;
    const inOrder: (string | undefined)[] = new Array(Math.min(limit, ids.size));
    let isOrdered = true; // as most vocabularies are
    let last = -1;
    for (const [token, id] of ids) {
      if (typeof id !== 'number' || !Number.isInteger(id) || id < 0)
        throw part.fail(`the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}, not a whole number from 0 on`);
      if (id >= limit)
        throw part.fail(
          `the id ${id} of ${JSON.stringify(token)} leaves too many holes among ${ids.size} tokens`,
          `ids have to stay below ${limit}`,
        );
      if (inOrder[id] !== undefined)
        throw part.fail(
          `the id ${id} belongs to both ${JSON.stringify(inOrder[id])} and ${JSON.stringify(token)}`,
          'give every token its own id',
        );
      inOrder[id] = token;
      isOrdered &&= id === last + 1;
      last = id;
    }
    const vocabulary = new Vocabulary();
    if (isOrdered) {
      vocabulary.ids = ids as Map<string, number>;
      vocabulary.tokens = inOrder;
    } else {
      inOrder.forEach((token, id) => {
        if (token !== undefined) vocabulary.add(token, id);
      });
    }
    return vocabulary;
  }
}

function mapOf(object: Readonly<Record<string, unknown>>): Map<string, unknown> {
  const map = new Map<string, unknown>();
  for (const key of Object.keys(object)) map.set(key, object[key]);
  return map;
}
