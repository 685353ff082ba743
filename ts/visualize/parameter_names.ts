import { OctoformerError } from '../binding/error';
import { closest, describeValue } from '../binding/options';
import type { ReadableParameter } from '../models/parameter_reader';

/**
 * The parameters that names stand for, each once, in the model's order. A name is that of a parameter, the path of a module (all that it and the
 * modules below it have), or a pattern: `*` stands for any characters, `?` for one.
 * @throws OctoformerError INVALID_ARGUMENT, NOT_FOUND with the nearest name
 */
export function selectParameters(
  where: string,
  parameters: readonly ReadableParameter[],
  names: string | readonly string[],
): ReadableParameter[] {
  const wanted: readonly unknown[] = typeof names === 'string' ? [names] : names;
  if (!Array.isArray(wanted) || wanted.length === 0 || !wanted.every((name) => typeof name === 'string')) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: names must be a name or a list of names, such as 'model.layers.0.*', not ${describeValue(names)}`,
    );
  }
  const chosen = new Set<ReadableParameter>();
  for (const name of wanted as readonly string[]) {
    const matches = matcher(name);
    const found = parameters.filter((parameter) => matches(parameter.name));
    if (found.length === 0) throw notFound(where, name, parameters);
    for (const parameter of found) chosen.add(parameter);
  }
  return parameters.filter((parameter) => chosen.has(parameter));
}

function matcher(name: string): (parameter: string) => boolean {
  if (!/[*?]/.test(name)) return (parameter) => parameter === name || parameter.startsWith(`${name}.`);
  return (parameter) => matchesPattern(name, parameter);
}

/** Without going back further than to the last `*`, so that no pattern takes long. */
function matchesPattern(pattern: string, text: string): boolean {
  let [at, place] = [0, 0];
  let star = -1;
  let resume = 0;
  while (place < text.length) {
    if (pattern[at] === '*') {
      star = at++;
      resume = place;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === text[place])) {
      at++;
      place++;
    } else if (star >= 0) {
      at = star + 1;
      place = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

function notFound(where: string, name: string, parameters: readonly ReadableParameter[]): OctoformerError {
  const paths = new Set(parameters.flatMap((parameter) => ancestors(parameter.name)));
  const near = /[*?]/.test(name) ? undefined : closest(name, paths);
  const first = parameters[0]?.name;
  return new OctoformerError(
    'NOT_FOUND',
    `${where}: the model has no parameter '${name}'` +
      (near
        ? `; did you mean '${near}'?`
        : `; there are ${parameters.length}, from '${first}' on, and '*' stands for all`),
  );
}

/** `a.b.c` and what it is in: `a.b`, `a`. */
function ancestors(name: string): string[] {
  const parts = name.split('.');
  return parts.map((_, count) => parts.slice(0, parts.length - count).join('.'));
}
