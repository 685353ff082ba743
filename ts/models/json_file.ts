import { open } from 'node:fs/promises';
import { OctoformerError } from '../binding/error';
import type { ConfigValues } from './config';

// Configurations are a few kilobytes; those with a label for every class of a large vocabulary reach a few megabytes.
const maxConfigBytes = 32 * 1024 * 1024;

/** Reads a JSON file that must hold an object. @throws OctoformerError NOT_FOUND, INVALID_CHECKPOINT naming the file */
export async function readJsonObject(path: string): Promise<ConfigValues> {
  const text = await readText(path);
  const value = parse(text, path);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OctoformerError('INVALID_CHECKPOINT', `${path} must hold a JSON object`);
  }
  return value as ConfigValues;
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    try {
      // Python's json module writes Infinity and NaN, which JSON has not; no number that a model needs is one of them.
      return JSON.parse(text.replace(/(?<=[:[,]\s*)(-?Infinity|NaN)(?=\s*[,\]}])/g, 'null'));
    } catch {
      throw new OctoformerError(
        'INVALID_CHECKPOINT',
        `${path} is no valid JSON (${(cause as Error).message}); fetch it again`,
        { cause },
      );
    }
  }
}

async function readText(path: string): Promise<string> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new OctoformerError('NOT_FOUND', `${path} can't be read: ${(cause as Error).message}`, { cause });
  }
  try {
    const { size } = await file.stat();
    if (size > maxConfigBytes) {
      throw new OctoformerError(
        'INVALID_CHECKPOINT',
        `${path} has ${size} bytes; a configuration has at most ${maxConfigBytes}`,
      );
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
