import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type StoredTensor, safetensorsBytes } from '../random_checkpoint';

/** What `scripts/fixtures/formula.py` writes: a checkpoint without its weights, and what Python computes with it. */
interface FormulaFile {
  readonly name: string;
  readonly config: { readonly num_hidden_layers: number; readonly vocab_size: number };
  readonly seed: number;
  /** Shapes by name; `*` stands for the number of each layer. */
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  readonly single: { readonly input_ids: readonly number[] };
  /** Of `single`: 16-bit integers in base64, times a step. */
  readonly logits: { readonly step: number; readonly values: string };
}

const ending = '.formula.json';
const made = join(__dirname, '..', '..', '..', 'build', 'formula-checkpoints');

/**
 * Folders of the checkpoints whose weights are a formula, of those that lie in a folder of fixtures: with config.json, weights and reference
 * results as other checkpoints have them. They are made where they are not there yet, below build/.
 */
export function formulaFolders(parent: string): string[] {
  const files = readdirSync(parent).filter((file) => file.endsWith(ending));
  if (files.length === 0) return [];
  const texts = files.map((file) => readFileSync(join(parent, file)));
  // The formula is in this file: with another one the checkpoints are others.
  const hash = [...texts, readFileSync(__filename)].reduce((sum, text) => sum.update(text), createHash('sha256'));
  const target = join(made, hash.digest('hex').slice(0, 16));
  if (!existsSync(target))
    make(
      target,
      texts.map((text) => JSON.parse(text.toString()) as FormulaFile),
    );
  return files.map((file) => join(target, file.slice(0, -ending.length)));
}

/** All of them at once, in place of those of other formulas. Test files run side by side: the first one to be done stays. */
function make(target: string, files: readonly FormulaFile[]): void {
  mkdirSync(made, { recursive: true });
  const old = readdirSync(made).filter((name) => !name.startsWith('making-'));
  const staged = mkdtempSync(join(made, 'making-'));
  for (const file of files) writeFormulaCheckpoint(join(staged, file.name), file);
  try {
    renameSync(staged, target);
  } catch (error) {
    rmSync(staged, { recursive: true });
    if (!existsSync(target)) throw error;
  }
  for (const name of old) if (join(made, name) !== target) rmSync(join(made, name), { recursive: true, force: true });
}

function writeFormulaCheckpoint(folder: string, file: FormulaFile): void {
  const { config, seed, tensors, single, logits, ...golden } = file;
  const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => String(layer));
  const stored = Object.entries(tensors).flatMap(([pattern, shape]) =>
    (pattern.includes('*') ? layers : ['']).map((layer): StoredTensor => {
      const name = pattern.replace('*', layer);
      return { name, shape, data: formulaWeights(seed, name, shape) };
    }),
  );
  const shape = [single.input_ids.length, config.vocab_size];
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(stored));
  writeFileSync(join(folder, 'golden.json'), JSON.stringify({ ...golden, single }));
  const reference = [{ name: 'single.logits', shape, data: unpack(logits) }];
  writeFileSync(join(folder, 'golden.safetensors'), safetensorsBytes(reference));
}

function unpack({ step, values }: FormulaFile['logits']): Float32Array {
  const bytes = Buffer.from(values, 'base64');
  return Float32Array.from({ length: bytes.length / 2 }, (_, index) => step * bytes.readInt16LE(2 * index));
}

/** The numbers of a tensor, as `weights` of formula.py has them: every one is exact in float32. */
function formulaWeights(seed: number, name: string, shape: readonly number[]): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const { center, factor } = distribution(name, shape);
  const start = hashOf(`${seed}/${name}`);
  return Float32Array.from({ length: count }, (_, place) => center + factor * uniform(start, place));
}

function distribution(name: string, shape: readonly number[]): { center: number; factor: number } {
  if (name.includes('norm') && name.endsWith('weight')) return { center: 1, factor: 1 / 4 };
  if (shape.length < 2 || name.includes('embed')) return { center: 0, factor: 1 / 4 };
  let factor = 4;
  while (factor * factor * (shape.at(-1) ?? 1) > 48) factor /= 2;
  return { center: 0, factor };
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  return Buffer.from(text).reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5 | 0);
}

/** Multiples of 2^-15 in [-1, 1): the place times a constant is added, and mixed as MurmurHash3 ends. */
function uniform(start: number, place: number): number {
  let mixed = (start + Math.imul(place, 0x9e3779b9)) | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  mixed ^= mixed >>> 16;
  return ((mixed >>> 16) - 32768) / 32768;
}
