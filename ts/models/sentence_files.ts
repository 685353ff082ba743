import { join } from 'node:path';
import { MODULES_FILE, type ModelFiles } from '../hub';
import { isInnerFileName } from '../hub/file_listing';
import { isFile } from '../hub/files';
import { readJson } from './json_file';

/** Of a checkpoint of sentence-transformers: texts that go before those that are encoded. */
export const PROMPTS_FILE = 'config_sentence_transformers.json';

/** How its module Transformer takes texts. The first that there is counts; all but the first are names of older releases. */
export const TRANSFORMER_FILES = [
  'sentence_bert_config.json',
  'sentence_roberta_config.json',
  'sentence_distilbert_config.json',
  'sentence_camembert_config.json',
  'sentence_albert_config.json',
  'sentence_xlm-roberta_config.json',
  'sentence_xlnet_config.json',
];

/** A file of one of its modules, relative to the checkpoint. */
export const moduleFile = (path: string, name = 'config.json') => (path === '' ? name : `${path}/${name}`);

/** The files of a folder, those that there are, that tell how vectors of texts are made: names relative to it. */
export async function sentenceFiles({
  folder,
  gguf,
}: ModelFiles): Promise<{ readonly name: string; readonly path: string }[]> {
  const modules = join(folder, MODULES_FILE);
  if (gguf !== undefined || !(await isFile(modules))) return [];
  // Those who read the file will say what is wrong with it.
  const paths = pathsOf(await readJson(modules).catch(() => undefined));
  const inner = paths
    .filter((path) => path !== '')
    .map((path) => moduleFile(path))
    .filter(isInnerFileName);
  const found: { name: string; path: string }[] = [];
  for (const name of new Set([MODULES_FILE, PROMPTS_FILE, ...TRANSFORMER_FILES, ...inner])) {
    const path = join(folder, name);
    if (await isFile(path)) found.push({ name, path });
  }
  return found;
}

/** Folders of modules. */
function pathsOf(modules: unknown): readonly string[] {
  if (!Array.isArray(modules)) return [];
  return modules.map((module: unknown): unknown => Object(module).path).filter((path) => typeof path === 'string');
}
