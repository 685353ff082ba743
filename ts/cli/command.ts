import type { Terminal } from './terminal';

/** What an option takes, and how the help shows it. */
export interface OptionDescription {
  readonly kind: 'flag' | 'text' | 'integer' | 'number';
  readonly help: string;
  /** Stands for the value in the help; not for flags. */
  readonly placeholder?: string;
  readonly short?: string;
}

export type OptionDescriptions = Readonly<Record<string, OptionDescription>>;

/** A command of `octoformer`, one a file. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What follows the name, such as `[PROMPT]`. */
  readonly operands: string;
  /** Paragraphs for its own help. */
  readonly description: string;
  readonly options: OptionDescriptions;
  readonly examples: readonly string[];
  run(given: ParsedArguments, terminal: Terminal): Promise<void>;
}

/** Wrong usage: the program ends with exit code 2 and points to the help. */
export class UsageError extends Error {}

/** Checked arguments of a command. */
export class ParsedArguments {
  constructor(
    readonly operands: readonly string[],
    private readonly values: ReadonlyMap<string, string | number | true>,
  ) {}

  flag(name: string): boolean {
    return this.values.get(name) === true;
  }

  text(name: string): string | undefined {
    const value = this.values.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  number(name: string): number | undefined {
    const value = this.values.get(name);
    return typeof value === 'number' ? value : undefined;
  }

  /** @throws UsageError when the option was not given */
  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new UsageError(`--${name} is missing`);
    return value;
  }
}
