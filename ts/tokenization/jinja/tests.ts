import { holds } from './operators';
import {
  Callable,
  Float,
  isDict,
  isEqual,
  numberOf,
  sequenceOf,
  TemplateError,
  text,
  Undefined,
  type Value,
} from './values';

/** What follows `is`. */
type Test = (value: Value, args: readonly Value[]) => boolean;

function integer(value: Value | undefined): number {
  const number = value === undefined ? undefined : numberOf(value);
  if (number === undefined) throw new TemplateError('a number was expected');
  return number;
}

const comparing =
  (operator: string): Test =>
  (value, [other = null]) =>
    holds(operator, value, other);

const equal = comparing('==');
const unequal = comparing('!=');
const less = comparing('<');
const lessOrEqual = comparing('<=');
const greater = comparing('>');
const greaterOrEqual = comparing('>=');

export const TESTS: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === 'boolean',
  callable: (value) => value instanceof Callable,
  defined: (value) => !(value instanceof Undefined),
  divisibleby: (value, [by]) => integer(value) % integer(by) === 0,
  escaped: () => false,
  even: (value) => integer(value) % 2 === 0,
  false: (value) => value === false,
  float: (value) => value instanceof Float,
  in: comparing('in'),
  integer: (value) => typeof value === 'number',
  iterable: (value) =>
    typeof value === 'string' || value instanceof Undefined || isDict(value) || sequenceOf(value) !== undefined,
  lower: (value) => text(value) === text(value).toLowerCase() && text(value) !== text(value).toUpperCase(),
  mapping: isDict,
  none: (value) => value === null,
  number: (value) => numberOf(value) !== undefined,
  odd: (value) => Math.abs(integer(value) % 2) === 1,
  sameas: (value, [other = null]) =>
    value === other || (typeof value !== 'object' && isEqual(value, other) && typeof value === typeof other),
  sequence: (value) =>
    typeof value === 'string' || isDict(value) || sequenceOf(value) !== undefined || value instanceof Undefined,
  string: (value) => typeof value === 'string',
  true: (value) => value === true,
  undefined: (value) => value instanceof Undefined,
  upper: (value) => text(value) === text(value).toUpperCase() && text(value) !== text(value).toLowerCase(),
  '==': equal,
  eq: equal,
  equalto: equal,
  '!=': unequal,
  ne: unequal,
  '<': less,
  lt: less,
  lessthan: less,
  '<=': lessOrEqual,
  le: lessOrEqual,
  '>': greater,
  gt: greater,
  greaterthan: greater,
  '>=': greaterOrEqual,
  ge: greaterOrEqual,
};

/** @throws TemplateError for one that there is not */
export function test(name: string, value: Value, args: readonly Value[]): boolean {
  const found = Object.hasOwn(TESTS, name) ? TESTS[name] : undefined;
  if (!found) throw new TemplateError(`No test named '${name}'.`);
  return found(value, args);
}
