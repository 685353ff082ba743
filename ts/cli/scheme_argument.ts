import type { LoadOptions } from '../models/load_options';
import { UsageError } from './command';

type Value = string | number | boolean | readonly string[];

/**
 * A scheme as it is typed, with options of the object form of `quantization` after colons: `llm.int8:outliers=column:threshold=3`. Lists are
 * written with plus signs between: `int8:skipModules=lm_head+mlp.down_proj`. What begins with a brace is that object in JSON. Names and
 * values are checked by `from_pretrained`.
 * @throws UsageError for a part that is not `option=value`, and for what is no JSON
 */
export function readScheme(text: string): LoadOptions['quantization'] {
  if (text.startsWith('{')) return readObject(text);
  const [scheme = '', ...parts] = text.split(':');
  if (parts.length === 0) return scheme as LoadOptions['quantization'];
  const options: Record<string, Value> = scheme === '' ? {} : { scheme };
  for (const part of parts) {
    const equals = part.indexOf('=');
    if (equals < 1 || equals === part.length - 1) {
      throw new UsageError(
        `'${part}' of the scheme '${text}' is not option=value; write ${scheme || 'int8'}:threshold=3`,
      );
    }
    const name = part.slice(0, equals);
    options[name] = readValue(name, part.slice(equals + 1));
  }
  return options as LoadOptions['quantization'];
}

function readObject(text: string): LoadOptions['quantization'] {
  try {
    return JSON.parse(text) as LoadOptions['quantization'];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--quantization takes a scheme or an object in JSON, and '${text}' is none: ${reason}`);
  }
}

/** As the option of that name wants it; what it doesn't want stays text, and `from_pretrained` says so. */
function readValue(name: string, text: string): Value {
  if (name === 'skipModules') return text.split('+');
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
