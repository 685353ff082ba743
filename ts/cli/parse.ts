import { parseArgs } from 'node:util';
import { closest } from '../binding/options';
import { type OptionDescription, type OptionDescriptions, ParsedArguments, UsageError } from './command';

/**
 * Reads arguments against the options of a command. `--` ends the options.
 * @throws UsageError naming the argument, with the nearest name for an unknown one
 */
export function parseArguments(given: readonly string[], options: OptionDescriptions): ParsedArguments {
  const { tokens } = parseArgs({
    args: [...given],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { kind, short }]) => [
        name,
        { type: kind === 'flag' ? ('boolean' as const) : ('string' as const), ...(short ? { short } : {}) },
      ]),
    ),
    // Not strict: what is wrong is told below, with the nearest name.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const operands: string[] = [];
  const values = new Map<string, string | number | true>();
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const description = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (description === undefined) throw unknownOption(token.rawName, Object.keys(options));
    values.set(token.name, readValue(token.rawName, description, token.value, token.inlineValue === true));
  }
  return new ParsedArguments(operands, values);
}

function unknownOption(rawName: string, known: readonly string[]): UsageError {
  const near = closest(rawName, known);
  return new UsageError(`unknown option ${rawName}${near === undefined ? '' : `; did you mean --${near}?`}`);
}

function readValue(
  rawName: string,
  { kind }: OptionDescription,
  value: string | undefined,
  isInline: boolean,
): string | number | true {
  if (kind === 'flag') {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value, but got '${value}'`);
    return true;
  }
  // An option in the place of a value means that the value was forgotten; `--name=--value` says that it was not.
  if (value === undefined || value === '' || (!isInline && value.startsWith('--'))) {
    throw new UsageError(`${rawName} needs a value`);
  }
  if (kind === 'text') return value;
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number) || (kind === 'integer' && !Number.isSafeInteger(number))) {
    throw new UsageError(`${rawName} takes ${kind === 'integer' ? 'a whole number' : 'a number'}, not '${value}'`);
  }
  return number;
}
