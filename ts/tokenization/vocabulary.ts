import type { JsonPart } from './json_part';
import { TokenTable } from './token_table';

/**
 * Ids that no token has, beyond as many as there are tokens: published files have a few holes, where tokens were taken out. An id
 * further out would only serve to make tables of billions of entries.
 */
export const HOLES_ALLOWED = 1024;

/** Token strings and their ids, both ways: those of a model, and those that were added to them. */
export class Vocabulary {
  private readonly addedIds = new Map<string, number>();
  private readonly addedTokens = new Map<number, string>();
  private addedCount = 0;
  private limit: number;

  /** @param table the model's */
  constructor(readonly table: TokenTable) {
    this.limit = table.idLimit;
  }

  get size(): number {
    return this.table.size + this.addedCount;
  }

  /** One more than the largest id. */
  get idLimit(): number {
    return this.limit;
  }

  add(token: string, id: number): void {
    if (this.id(token) === undefined) this.addedCount++;
    if (this.id(token) !== id) this.addedIds.set(token, id);
    this.rename(id, token);
  }

  /** Gives an id another token, while the old one still leads to the id. */
  rename(id: number, token: string): void {
    if (this.token(id) === token) return;
    this.addedTokens.set(id, token);
    this.limit = Math.max(this.limit, id + 1);
  }

  id(token: string): number | undefined {
    const added = this.addedIds.get(token);
    if (added !== undefined) return added;
    const id = this.table.id(token);
    return id < 0 ? undefined : id;
  }

  token(id: number): string | undefined {
    return this.addedTokens.get(id) ?? this.table.token(id);
  }

  *entries(): IterableIterator<[string, number]> {
    for (let id = 0; id < this.table.idLimit; id++) {
      const token = this.table.token(id);
      if (token !== undefined && this.id(token) === id) yield [token, id];
    }
    yield* this.addedIds;
  }

  /**
   * Of `{"token": id, …}`, a map of these, or a table. Throws INVALID_TOKENIZER for ids that are no whole numbers, occur twice, or are far beyond the number of
   * tokens.
   */
  static read(part: JsonPart): Vocabulary {
    if (part.isMissing) throw part.fail('the vocabulary is missing');
    if (part.value instanceof TokenTable) return new Vocabulary(part.value);
    const given: unknown = part.value;
    const ids: Readonly<Record<string, unknown>> | ReadonlyMap<string, unknown> =
      given instanceof Map ? given : part.object();
    const isMap = ids instanceof Map;
    const tokens: string[] = isMap ? [...ids.keys()] : Object.keys(ids);
    const limit = 2 * tokens.length + HOLES_ALLOWED;
    const inOrder: (string | undefined)[] = new Array(tokens.length);
    for (const token of tokens) {
      const id: unknown = isMap ? ids.get(token) : (ids as Readonly<Record<string, unknown>>)[token];
      if (typeof id !== 'number' || !Number.isInteger(id) || id < 0)
        throw part.fail(`the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}, not a whole number from 0 on`);
      if (id >= limit)
        throw part.fail(
          `the id ${id} of ${JSON.stringify(token)} leaves too many holes among ${tokens.length} tokens`,
          `ids have to stay below ${limit}`,
        );
      if (inOrder[id] !== undefined)
        throw part.fail(
          `the id ${id} belongs to both ${JSON.stringify(inOrder[id])} and ${JSON.stringify(token)}`,
          'give every token its own id',
        );
      inOrder[id] = token;
    }
    while (inOrder.length > 0 && inOrder[inOrder.length - 1] === undefined) inOrder.pop();
    return new Vocabulary(TokenTable.of(inOrder));
  }
}
