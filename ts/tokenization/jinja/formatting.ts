import {
  Float,
  isDict,
  isList,
  kindOf,
  numberOf,
  repr,
  sequenceOf,
  TemplateError,
  Tuple,
  text,
  Undefined,
  type Value,
} from './values';

// Python's two ways to put values into a text: `'%s' % value` and `'{}'.format(value)`.

function padded(value: string, width: number, align: string, fill = ' '): string {
  const missing = Math.max(0, width - Array.from(value).length);
  if (missing > 10_000) throw new TemplateError(`a width of ${width} is too large`);
  if (align === '<') return value + fill.repeat(missing);
  if (align === '^') return fill.repeat(Math.floor(missing / 2)) + value + fill.repeat(Math.ceil(missing / 2));
  if (align === '=') {
    const sign = /^[+-]?/.exec(value)?.[0] ?? '';
    return sign + fill.repeat(missing) + value.slice(sign.length);
  }
  return fill.repeat(missing) + value;
}

/** A number in one of Python's forms: `d`, `f`, `e`, `x` ... @param sign put before numbers that are not negative */
function numeral(value: Value, form: string, precision: number | undefined, sign = ''): string {
  const number = numberOf(value);
  if (number === undefined) throw new TemplateError(`a number is required, not ${kindOf(value)}`);
  const digits = Math.min(precision ?? 6, 100);
  const magnitude = Math.abs(number);
  const whole = Math.trunc(magnitude);
  const shown: Readonly<Record<string, () => string>> = {
    d: () => String(whole),
    f: () => magnitude.toFixed(digits),
    e: () => magnitude.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2'),
    x: () => whole.toString(16),
    X: () => whole.toString(16).toUpperCase(),
    o: () => whole.toString(8),
    b: () => whole.toString(2),
    '%': () => `${(magnitude * 100).toFixed(digits)}%`,
  };
  const show = shown[form === 'i' || form === 'u' ? 'd' : form.replace('F', 'f')];
  if (!show) throw new TemplateError(`unsupported format character '${form}'`);
  return (number < 0 ? '-' : sign) + show();
}

/** `template % values`. */
export function formatPercent(template: string, values: Value): string {
  const items = values instanceof Tuple ? values.items : [values];
  let used = 0;
  const out = template.replace(
    /%(?:\((.*?)\))?([-+ 0#]*)(\*|\d+)?(?:\.(\d+))?([a-zA-Z%]?)/g,
    (
      _,
      key: string | undefined,
      flags: string,
      width: string | undefined,
      precision: string | undefined,
      form: string,
    ) => {
      if (form === '%') return '%';
      if (form === '') throw new TemplateError('incomplete format');
      const take = (): Value => {
        if (used >= items.length) throw new TemplateError('not enough arguments for format string');
        return items[used++] as Value;
      };
      const wanted = width === '*' ? (numberOf(take()) ?? 0) : Number(width ?? 0);
      const value = key === undefined ? take() : isDict(values) ? (values.get(key) ?? null) : take();
      const digits = precision === undefined ? undefined : Number(precision);
      const isText = form === 's' || form === 'r' || form === 'c';
      const plain = form === 'r' ? repr(value) : text(value);
      const shown = isText
        ? Array.from(plain).slice(0, digits).join('')
        : numeral(value, form, digits, flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '');
      if (flags.includes('-')) return padded(shown, wanted, '<');
      return flags.includes('0') && !isText ? padded(shown, wanted, '=', '0') : padded(shown, wanted, '>');
    },
  );
  if (used < items.length && !isDict(values) && !isList(values) && !(values instanceof Undefined))
    throw new TemplateError('not all arguments converted during string formatting');
  return out;
}

const specification = /^(?:(.)?([<>=^]))?([-+ ])?#?(0)?(\d+)?(,)?(?:\.(\d+))?([a-zA-Z%])?$/su;

function formatted(value: Value, spec: string): string {
  if (spec === '') return text(value);
  const parts = specification.exec(spec);
  if (!parts) throw new TemplateError(`Invalid format specifier '${spec}'`);
  const [, fill, align, sign, zero, width, comma, precision, form] = parts;
  const number = typeof value === 'boolean' ? undefined : numberOf(value);
  const isNumber = number !== undefined && form !== 's';
  const kind =
    form ??
    (value instanceof Float && (precision !== undefined || comma)
      ? 'f'
      : isNumber && !(value instanceof Float)
        ? 'd'
        : 's');
  const digits = precision === undefined ? undefined : Number(precision);
  let shown =
    kind === 's'
      ? Array.from(text(value)).slice(0, digits).join('')
      : numeral(value, kind, digits, sign === '-' ? '' : (sign ?? ''));
  if (comma)
    shown = shown.replace(
      /^([+-]?)(\d+)/,
      (_, before: string, all: string) => before + all.replace(/\B(?=(\d{3})+$)/g, ','),
    );
  return padded(shown, Number(width ?? 0), align ?? (zero ? '=' : isNumber ? '>' : '<'), fill ?? (zero ? '0' : ' '));
}

/** `template.format(...)`: places by number, by name, and in order; attributes of them are not looked into. */
export function formatBraces(
  template: string,
  positional: readonly Value[],
  named: ReadonlyMap<string, Value>,
): string {
  let next = 0;
  let isNumbered = false;
  return template.replace(
    /\{\{|\}\}|\{([^{}:!]*)(?:!([rs]))?(?::([^{}]*))?\}|[{}]/g,
    (whole, field?: string, conversion?: string, spec?: string) => {
      if (whole === '{{' || whole === '}}') return whole.slice(1);
      if (field === undefined) throw new TemplateError(`Single '${whole}' encountered in format string`);
      isNumbered ||= /^\d+$/.test(field);
      if (isNumbered && (field === '' || next > 0))
        throw new TemplateError('cannot switch between numbered and automatic fields of a format');
      const value =
        field === '' ? positional[next++] : /^\d+$/.test(field) ? positional[Number(field)] : named.get(field);
      if (value === undefined) throw new TemplateError(`there is nothing to format for '{${field}}'`);
      const shown = conversion === 'r' ? repr(value) : conversion === 's' ? text(value) : value;
      return formatted(shown, spec ?? '');
    },
  );
}

/** What JSON is written with: Python's `json.dumps`. */
export interface JsonStyle {
  readonly indent: string | undefined;
  readonly ensureAscii: boolean;
  readonly separators: readonly [string, string] | undefined;
  readonly sortKeys: boolean;
}

export function toJson(value: Value, style: JsonStyle, depth = 0): string {
  if (typeof value === 'string') return quotedJson(value, style.ensureAscii);
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Float) return text(value).replace('inf', 'Infinity').replace('nan', 'NaN');
  if (typeof value === 'number') return text(value);
  const { indent } = style;
  const [comma, colon] = style.separators ?? [indent === undefined ? ', ' : ',', ': '];
  const wrap = (open: string, items: readonly string[], close: string): string => {
    if (items.length === 0) return open + close;
    if (indent === undefined) return open + items.join(comma) + close;
    const line = `\n${indent.repeat(depth + 1)}`;
    return `${open}${line}${items.join(comma + line)}\n${indent.repeat(depth)}${close}`;
  };
  const items = sequenceOf(value);
  if (items)
    return wrap(
      '[',
      items.map((item) => toJson(item, style, depth + 1)),
      ']',
    );
  if (!isDict(value)) throw new TemplateError(`Object of type ${kindOf(value)} is not JSON serializable`);
  const entries = [...value].map(([key, item]): [string, Value] => [jsonKey(key), item]);
  if (style.sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return wrap(
    '{',
    entries.map(([key, item]) => quotedJson(key, style.ensureAscii) + colon + toJson(item, style, depth + 1)),
    '}',
  );
}

function jsonKey(key: Value): string {
  if (key === null) return 'null';
  if (typeof key === 'boolean') return String(key);
  if (typeof key === 'string' || numberOf(key) !== undefined) return text(key);
  throw new TemplateError(`keys must be str, int, float, bool or None, not ${kindOf(key)}`);
}

function quotedJson(value: string, ensureAscii: boolean): string {
  const json = JSON.stringify(value);
  if (!ensureAscii) return json;
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
