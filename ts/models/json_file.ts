import { OctoformerError } from '../binding/error';
import { readFile, stat } from '../hub/files';
import type { ConfigValues } from './config';

// Configurations are a few kilobytes; those with a label for every class of a large vocabulary reach a few megabytes.
const maxConfigBytes = 32 * 1024 * 1024;

// The largest published tokenizer.json (262,144 tokens with their merges) has 33 MB.
const maxTokenizerBytes = 256 * 1024 * 1024;

type InvalidCode = 'INVALID_CHECKPOINT' | 'INVALID_TOKENIZER';

// Python's json module writes Infinity and NaN, which JSON has not; no number that a model needs is one of them. Strings match as a
// whole, to be left alone; an unfinished one up to the end, so that the search takes linear time.
const stringOrPythonNumber = /"[^"\\]*(?:\\.[^"\\]*)*(?:"|$)|-?Infinity|NaN/gs;

/**
 * Reads a JSON file that must hold an object.
 * @param code what a file that doesn't is called
 * @throws OctoformerError NOT_FOUND, or that code, naming the file
 */
export async function readJsonObject(path: string, code: InvalidCode = 'INVALID_CHECKPOINT'): Promise<ConfigValues> {
  return parseJsonObject(await readText(path, code), path, code);
}

/** Reads a JSON file, whatever it holds. @throws OctoformerError NOT_FOUND, INVALID_CHECKPOINT, naming the file */
export async function readJson(path: string): Promise<unknown> {
  return parse(await readText(path, 'INVALID_CHECKPOINT'), path, 'INVALID_CHECKPOINT');
}

/** Text of such a file. Throws that code. */
export function parseJsonObject(text: string, path: string, code: InvalidCode): ConfigValues {
  const value = parse(text, path, code);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OctoformerError(code, `${path} must hold a JSON object`);
  }
  return value as ConfigValues;
}

function parse(text: string, path: string, code: InvalidCode): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    try {
      return JSON.parse(text.replace(stringOrPythonNumber, (found) => (found.startsWith('"') ? found : 'null')));
    } catch {
      throw new OctoformerError(code, `${path} is no valid JSON (${(cause as Error).message}); fetch it again`, {
        cause,
      });
    }
  }
}

/** Reads such a file as text. @throws OctoformerError NOT_FOUND, or that code */
export async function readText(path: string, code: InvalidCode): Promise<string> {
  const most = code === 'INVALID_TOKENIZER' ? maxTokenizerBytes : maxConfigBytes;
  let size: number;
  try {
    ({ size } = await stat(path));
    if (size <= most) return await readFile(path, 'utf8');
  } catch (cause) {
    throw new OctoformerError('NOT_FOUND', `${path} can't be read: ${(cause as Error).message}`, { cause });
  }
  throw new OctoformerError(code, `${path} has ${size} bytes; such a file has at most ${most}`);
}
