import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LoadOptions, type Pipelines, pipeline } from '../../../ts';
import { type Comparison, worstOf } from './comparison';

export interface PipelineCase {
  readonly input: unknown;
  readonly options: object;
  readonly output: unknown;
}

/** A folder with a model, and what Python's pipeline makes of some inputs. */
export interface GoldenPipeline {
  readonly path: string;
  readonly folder: string;
  readonly task: string;
  readonly made_by_hand?: boolean;
  readonly cases: readonly PipelineCase[];
}

/** What a folder's golden.json lists; none if there is no such folder. */
export function goldenPipelines(parent: string): GoldenPipeline[] {
  const file = join(parent, 'golden.json');
  if (!existsSync(file)) return [];
  const { pipelines } = JSON.parse(readFileSync(file, 'utf8')) as { readonly pipelines: readonly GoldenPipeline[] };
  return pipelines.map((one) => ({ ...one, path: join(parent, one.folder) }));
}

type AnyPipeline = (input: unknown, options: object) => Promise<unknown>;

/** Opens the pipeline of a golden folder in the way that its answers were made. */
export async function openGolden(golden: GoldenPipeline, options: LoadOptions = { dtype: 'float32' }) {
  const opened = await pipeline(golden.task as keyof Pipelines, golden.path, options);
  // The answers to questions were made by hand, from ids alone: without the token types that the pipeline of transformers 4 passes for
  // such a tokenizer, and ours with it.
  if (golden.task === 'question-answering' && golden.made_by_hand) {
    opened.tokenizer.model_input_names = ['input_ids', 'attention_mask'];
  }
  return { run: opened as unknown as AnyPipeline, dispose: () => opened.dispose() };
}

/** The answer to a case against Python's: scores to 1e-4 (the goldens' bound), all else exactly. */
export async function compareAnswer(run: AnyPipeline, { input, options, output }: PipelineCase): Promise<Comparison> {
  const name = JSON.stringify([input, options]).slice(0, 90);
  const worst = worstOf(differencesOf(await run(input, options), output));
  return { ...worst, name: `${name} ${worst.name}` };
}

function differencesOf(actual: unknown, expected: unknown, path = ''): Comparison[] {
  if (typeof expected === 'number' && typeof actual === 'number') {
    const [difference, allowed] = [Math.abs(actual - expected), Number.isInteger(expected) ? 0 : 1e-4];
    return [{ name: path, difference, allowed, detail: `${actual} instead of ${expected}` }];
  }
  if (typeof expected !== 'object' || expected === null || typeof actual !== 'object' || actual === null) {
    const detail = `${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`;
    return [{ name: path, difference: Object.is(actual, expected) ? 0 : 1, allowed: 0, detail }];
  }
  if (Object.keys(expected).length + Object.keys(actual).length === 0)
    return [{ name: path, difference: 0, allowed: 0 }];
  const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  const at = (value: object, key: string) => (value as Record<string, unknown>)[key];
  return [...keys].flatMap((key) => differencesOf(at(actual, key), at(expected, key), `${path}/${key}`));
}
