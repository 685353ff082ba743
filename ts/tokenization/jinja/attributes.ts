import { slicePlaces } from './operators';
import { stringMethod } from './string_methods';
import {
  type Arguments,
  Attributed,
  bind,
  Callable,
  type Dict,
  isDict,
  isEqual,
  isList,
  kindOf,
  Namespace,
  sequenceOf,
  TemplateError,
  Tuple,
  Undefined,
  type Value,
} from './values';

type Method = (args: Arguments) => Value;

/** Those that change what they belong to, which the sandbox of transformers refuses. */
const changing = new Set([
  'append',
  'clear',
  'extend',
  'insert',
  'pop',
  'popitem',
  'remove',
  'reverse',
  'setdefault',
  'sort',
  'update',
]);

function dictMethod(self: Dict, name: string): Method | undefined {
  const methods: Readonly<Record<string, Method>> = {
    copy: () => new Map(self),
    get: (args) => {
      const [key = null, otherwise = null] = bind('get', args, ['key', 'default']);
      return self.get(key) ?? otherwise;
    },
    items: () => [...self].map((entry) => new Tuple(entry)),
    keys: () => [...self.keys()],
    values: () => [...self.values()],
  };
  return Object.hasOwn(methods, name) ? methods[name] : undefined;
}

function sequenceMethod(items: readonly Value[], name: string): Method | undefined {
  const methods: Readonly<Record<string, Method>> = {
    copy: () => [...items],
    count: (args) => items.filter((item) => isEqual(item, bind('count', args, ['value'])[0] ?? null)).length,
    index: (args) => {
      const at = items.findIndex((item) => isEqual(item, bind('index', args, ['value'])[0] ?? null));
      if (at < 0) throw new TemplateError('the value is not in the list');
      return at;
    },
  };
  return Object.hasOwn(methods, name) ? methods[name] : undefined;
}

function methodOf(object: Value, name: string): Method | undefined {
  if (typeof object === 'string') return stringMethod(object, name);
  const items = sequenceOf(object);
  if (!items && !isDict(object)) return undefined;
  if (changing.has(name) && !(object instanceof Tuple) && (!isDict(object) || !object.has(name)))
    return () => {
      throw new TemplateError(`access to attribute '${name}' of '${kindOf(object)}' object is unsafe`);
    };
  return items ? sequenceMethod(items, name) : dictMethod(object as Dict, name);
}

/** `object.name`: a method or an attribute, else the item of that name. */
export function attributeOf(object: Value, name: string): Value {
  if (object instanceof Undefined) throw new TemplateError(object.reason);
  if (object instanceof Namespace) return object.attributes.get(name) ?? missing(object, name);
  if (object instanceof Attributed) return object.attribute(name) ?? missing(object, name);
  if (object instanceof Callable && name === 'name') return object.name;
  const method = methodOf(object, name);
  if (method) return new Callable(name, method);
  return (isDict(object) ? object.get(name) : undefined) ?? missing(object, name);
}

function missing(object: Value, name: string): Undefined {
  return new Undefined(`'${object === null ? 'None' : `${kindOf(object)} object`}' has no attribute '${name}'`);
}

/** `object[key]`: an item, else the attribute of that name. */
export function itemOf(object: Value, key: Value): Value {
  if (object instanceof Undefined) throw new TemplateError(object.reason);
  if (isDict(object) && object.has(key)) return object.get(key) as Value;
  const items = sequenceOf(object) ?? (typeof object === 'string' ? Array.from(object) : undefined);
  if (items && (typeof key === 'number' || typeof key === 'boolean')) {
    return items.at(Number(key)) ?? new Undefined(`${kindOf(object)} object has no element ${Number(key)}`);
  }
  if (typeof key === 'string') return attributeOf(object, key);
  return new Undefined(`${kindOf(object)} object has no element ${String(key)}`);
}

/** `object[start:stop:step]`. */
export function sliceOf(object: Value, start: Value, stop: Value, step: Value): Value {
  if (object instanceof Undefined) throw new TemplateError(object.reason);
  const items = sequenceOf(object) ?? (typeof object === 'string' ? Array.from(object) : undefined);
  if (!items) throw new TemplateError(`'${kindOf(object)}' object can't be sliced`);
  const chosen = slicePlaces(items.length, start, stop, step).map((place) => items[place] as Value);
  if (typeof object === 'string') return chosen.join('');
  return isList(object) ? chosen : new Tuple(chosen);
}
