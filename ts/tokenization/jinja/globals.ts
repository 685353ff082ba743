import { strftime } from './strftime';
import {
  Attributed,
  bind,
  Callable,
  isDict,
  iterate,
  Namespace,
  numberOf,
  sequenceOf,
  TemplateError,
  text,
  type Value,
} from './values';

/** More steps than any conversation has turns, as in Jinja's sandbox; a template that asks for more is not worth the memory. */
const MAX_RANGE = 100_000;

function range(args: readonly Value[]): Value {
  const numbers = args.map((arg) => {
    const number = numberOf(arg);
    if (number === undefined || !Number.isInteger(number)) throw new TemplateError('range() takes integers');
    return number;
  });
  const [start, stop, step] =
    numbers.length === 1 ? [0, numbers[0] ?? 0, 1] : [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 1];
  if (step === 0) throw new TemplateError('range() arg 3 must not be zero');
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (count > MAX_RANGE) throw new TemplateError(`range() of ${count} numbers; at most ${MAX_RANGE} are allowed`);
  return Array.from({ length: count }, (_, index) => start + index * step);
}

/** Entries of `dict(...)` and `namespace(...)`: of a mapping or of pairs, and by name. */
function entries(positional: readonly Value[], named: ReadonlyMap<string, Value>): Map<Value, Value> {
  const [source] = positional;
  const given: readonly (readonly [Value, Value])[] =
    source === undefined
      ? []
      : isDict(source)
        ? [...source]
        : iterate(source).map((pair) => {
            const [key, value] = sequenceOf(pair) ?? [];
            if (key === undefined || value === undefined) throw new TemplateError('pairs were expected');
            return [key, value];
          });
  return new Map([...given, ...named]);
}

/** `cycler('a', 'b')`: one after the other, for ever. */
class Cycler extends Attributed {
  private at = 0;

  constructor(private readonly items: readonly Value[]) {
    super();
    if (items.length === 0) throw new TemplateError('at least one item has to be provided');
  }

  attribute(name: string): Value | undefined {
    const current = this.items[this.at] as Value;
    if (name === 'current') return current;
    if (name === 'reset')
      return new Callable(name, () => {
        this.at = 0;
        return null;
      });
    if (name !== 'next') return undefined;
    return new Callable(name, () => {
      this.at = (this.at + 1) % this.items.length;
      return current;
    });
  }
}

function joiner(separator: Value): Value {
  let isUsed = false;
  return new Callable('joiner', () => {
    const first = !isUsed;
    isUsed = true;
    return first ? '' : separator;
  });
}

/** What every template has: Jinja's own, and `raise_exception` and `strftime_now` of transformers. */
export function globals(): Map<string, Value> {
  const functions = [
    new Callable('range', ({ positional }) => range(positional)),
    new Callable('dict', ({ positional, named }) => entries(positional, named)),
    new Callable('namespace', ({ positional, named }) => {
      const attributes = [...entries(positional, named)].map(([key, value]): [string, Value] => [text(key), value]);
      return new Namespace(new Map(attributes));
    }),
    new Callable('cycler', ({ positional }) => new Cycler(positional)),
    new Callable('joiner', (args) => joiner(bind('joiner', args, ['sep'])[0] ?? ', ')),
    new Callable('raise_exception', (args) => {
      throw new TemplateError(text(bind('raise_exception', args, ['message'])[0] ?? null));
    }),
    new Callable('strftime_now', (args) => strftime(new Date(), text(bind('strftime_now', args, ['format'])[0] ?? ''))),
  ];
  return new Map(functions.map((one) => [one.name, one]));
}
