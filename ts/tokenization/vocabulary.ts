import type { JsonPart } from './json_part';

/**
 * Ids that no token has, beyond as many as there are tokens: published files have a few holes, where tokens were taken out. An id
 * further out would only serve to make tables of billions of entries.
 */
export const HOLES_ALLOWED = 1024;

/** Token strings and their ids, both ways. */
export class Vocabulary {
  private readonly ids = new Map<string, number>();
  private readonly tokens: (string | undefined)[] = [];

  get size(): number {
    return this.ids.size;
  }

  /** One more than the largest id. */
  get idLimit(): number {
    return this.tokens.length;
  }

  add(token: string, id: number): void {
    this.ids.set(token, id);
    while (this.tokens.length < id) this.tokens.push(undefined);
    this.tokens[id] = token;
  }

  /** Takes over all tokens of another vocabulary. */
  addAll(other: Vocabulary): void {
    for (const [token, id] of other.ids) this.ids.set(token, id);
    for (let id = 0; id < other.tokens.length; id++) this.tokens[id] = other.tokens[id];
  }

  /** Gives an id another token, while the old one still leads to the id. */
  rename(id: number, token: string): void {
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

  /** Of `{"token": id, …}`. Throws INVALID_TOKENIZER for ids that are no whole numbers, occur twice, or are far beyond the number of tokens. */
  static read(part: JsonPart): Vocabulary {
    if (part.isMissing) throw part.fail('the vocabulary is missing');
    const entries = Object.entries(part.object());
    const vocabulary = new Vocabulary();
    const limit = 2 * entries.length + HOLES_ALLOWED;
    const inOrder: string[] = new Array(Math.min(limit, entries.length));
    for (const [token, id] of entries) {
      if (typeof id !== 'number' || !Number.isInteger(id) || id < 0)
        throw part.fail(`the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}, not a whole number from 0 on`);
      if (id >= limit)
        throw part.fail(
          `the id ${id} of ${JSON.stringify(token)} leaves too many holes among ${entries.length} tokens`,
          `ids have to stay below ${limit}`,
        );
      if (inOrder[id] !== undefined)
        throw part.fail(
          `the id ${id} belongs to both ${JSON.stringify(inOrder[id])} and ${JSON.stringify(token)}`,
          'give every token its own id',
        );
      inOrder[id] = token;
    }
    inOrder.forEach((token, id) => {
      vocabulary.add(token, id);
    });
    return vocabulary;
  }
}
