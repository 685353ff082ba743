import { OctoformerError } from '../binding/error';

/** Tells what is wrong with which part of a tokenizer file, and what to do about it. */
export function invalidTokenizer(
  part: string,
  problem: string,
  remedy = 'take the file again from where the model was published',
): OctoformerError {
  return new OctoformerError('INVALID_TOKENIZER', `${part}: ${problem}; ${remedy}`);
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  const text = typeof value === 'object' ? 'an object' : `${JSON.stringify(value) ?? String(value)}`;
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/**
 * A value of a parsed JSON file together with where it stands, so that every complaint names the place. All readers throw
 * INVALID_TOKENIZER when the value is not what the name says.
 */
export class JsonPart {
  constructor(
    readonly value: unknown,
    readonly path: string,
  ) {}

  get isMissing(): boolean {
    return this.value === undefined || this.value === null;
  }

  fail(problem: string, remedy?: string): OctoformerError {
    return invalidTokenizer(this.path, problem, remedy);
  }

  get(key: string): JsonPart {
    return new JsonPart(this.object()[key], `${this.path}.${key}`);
  }

  object(): Readonly<Record<string, unknown>> {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value))
      throw this.fail(`expected an object, got ${describe(this.value)}`);
    return this.value as Record<string, unknown>;
  }

  list(): JsonPart[] {
    return this.values().map((item, index) => new JsonPart(item, `${this.path}[${index}]`));
  }

  /** The raw items: for long lists, where an object for each would cost more than the list. */
  values(): readonly unknown[] {
    if (!Array.isArray(this.value)) throw this.fail(`expected a list, got ${describe(this.value)}`);
    return this.value;
  }

  string(fallback?: string): string {
    if (this.isMissing && fallback !== undefined) return fallback;
    if (typeof this.value !== 'string') throw this.fail(`expected a string, got ${describe(this.value)}`);
    return this.value;
  }

  optionalString(): string | null {
    return this.isMissing ? null : this.string();
  }

  boolean(fallback: boolean): boolean {
    if (this.isMissing) return fallback;
    if (typeof this.value !== 'boolean') throw this.fail(`expected true or false, got ${describe(this.value)}`);
    return this.value;
  }

  /** A whole number from 0 to 2^31 - 1. */
  count(fallback?: number): number {
    if (this.isMissing && fallback !== undefined) return fallback;
    const value = this.value;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0x7fffffff)
      throw this.fail(`expected a whole number from 0 to 2147483647, got ${describe(value)}`);
    return value;
  }

  /** Exactly one character (code point). */
  character(fallback?: string): string {
    const text = this.string(fallback);
    if ([...text].length !== 1) throw this.fail(`expected one character, got ${describe(text)}`);
    return text;
  }

  oneOf<T extends string>(allowed: readonly T[], fallback?: T): T {
    const text = this.string(fallback);
    const found = allowed.find((name) => name === text);
    if (found === undefined) throw this.fail(`unknown value ${describe(text)}`, `known are ${allowed.join(', ')}`);
    return found;
  }
}
