import { formatPercent } from './formatting';
import {
  compare,
  Float,
  isDict,
  isEqual,
  isList,
  iterate,
  kindOf,
  numberOf,
  sequenceOf,
  TemplateError,
  Tuple,
  type Value,
} from './values';

/** `left operator right` for arithmetic, of numbers, texts and lists. @throws TemplateError for kinds that Python does not take together */
export function calculate(operator: string, left: Value, right: Value): Value {
  if (operator === '%' && typeof left === 'string') return formatPercent(left, right);
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined)
    return numbers(operator, a, b, left instanceof Float || right instanceof Float);
  if (operator === '+') {
    if (typeof left === 'string' && typeof right === 'string') return left + right;
    if (isList(left) && isList(right)) return [...left, ...right];
    if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
    if (typeof left === 'string' || isList(left) || left instanceof Tuple)
      throw new TemplateError(`can only concatenate ${kindOf(left)} (not "${kindOf(right)}") to ${kindOf(left)}`);
  }
  if (operator === '*') {
    if (typeof right === 'number' || typeof right === 'boolean') return repeated(left, Number(right), operator, right);
    if (typeof left === 'number' || typeof left === 'boolean') return repeated(right, Number(left), operator, left);
  }
  throw unsupported(operator, left, right);
}

function unsupported(operator: string, left: Value, right: Value): TemplateError {
  return new TemplateError(`unsupported operand type(s) for ${operator}: '${kindOf(left)}' and '${kindOf(right)}'`);
}

/** Longer texts and lists are no conversation's. */
const mostRepeated = 1e6;

function repeated(value: Value, times: number, operator: string, other: Value): Value {
  const items = sequenceOf(value);
  const length = typeof value === 'string' ? value.length : items?.length;
  if (length === undefined) throw unsupported(operator, value, other);
  const count = Math.max(0, times);
  if (length * count > mostRepeated) throw new TemplateError(`a value of ${length * count} items is too long`);
  if (typeof value === 'string') return value.repeat(count);
  const all = Array.from({ length: count }, () => items ?? []).flat();
  return value instanceof Tuple ? new Tuple(all) : all;
}

function numbers(operator: string, a: number, b: number, isFloat: boolean): Value {
  const result = (value: number): Value => (isFloat ? new Float(value) : value);
  if (b === 0 && ['/', '//', '%'].includes(operator)) throw new TemplateError('division by zero');
  switch (operator) {
    case '+':
      return result(a + b);
    case '-':
      return result(a - b);
    case '*':
      return result(a * b);
    case '/':
      return new Float(a / b);
    case '//':
      return result(Math.floor(a / b));
    case '%':
      return result(a - b * Math.floor(a / b));
    default:
      return isFloat || b < 0 ? new Float(a ** b) : a ** b;
  }
}

/** One step of a comparison. */
export function holds(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return isEqual(left, right);
    case '!=':
      return !isEqual(left, right);
    case 'in':
      return contains(right, left);
    case 'not in':
      return !contains(right, left);
    case '<':
      return compare(left, right) < 0;
    case '<=':
      return compare(left, right) <= 0;
    case '>':
      return compare(left, right) > 0;
    default:
      return compare(left, right) >= 0;
  }
}

function contains(container: Value, item: Value): boolean {
  if (typeof container === 'string') {
    if (typeof item === 'string') return container.includes(item);
    throw new TemplateError(`'in <string>' requires string as left operand, not ${kindOf(item)}`);
  }
  if (isDict(container)) return container.has(item);
  if (container === null || numberOf(container) !== undefined)
    throw new TemplateError(`argument of type '${kindOf(container)}' is not iterable`);
  return iterate(container).some((one) => isEqual(one, item));
}

/** Where a slice begins and ends, and its steps: places of a sequence of that length. */
export function slicePlaces(length: number, start: Value, stop: Value, step: Value): number[] {
  const whole = (value: Value): number | undefined => {
    if (value === null) return undefined;
    if (typeof value === 'number' || typeof value === 'boolean') return Number(value);
    throw new TemplateError('slice indices must be integers or None');
  };
  const by = whole(step) ?? 1;
  if (by === 0) throw new TemplateError('slice step cannot be zero');
  const [low, high] = by > 0 ? [0, length] : [-1, length - 1];
  const within = (value: number | undefined, otherwise: number): number =>
    value === undefined ? otherwise : Math.min(Math.max(value < 0 ? value + length : value, low), high);
  const [from, to] = [within(whole(start), by > 0 ? low : high), within(whole(stop), by > 0 ? high : low)];
  const places: number[] = [];
  for (let place = from; by > 0 ? place < to : place > to; place += by) places.push(place);
  return places;
}
