import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Pipelines, pipeline, type Tokenizer } from '../../../ts';
import { goldensFolder } from '../goldens_folder';

interface GoldenPipeline {
  readonly folder: string;
  readonly task: keyof Pipelines;
  readonly cases: readonly { readonly input: unknown; readonly options: object; readonly output: unknown }[];
}

type AnyPipeline = (input: unknown, options: object) => Promise<unknown>;

const tasks = [
  'feature-extraction',
  'fill-mask',
  'question-answering',
  'text-classification',
  'token-classification',
  'zero-shot-classification',
];
const goldens = goldensFolder();
const parents = goldens ? [join(goldens, 'pipelines')].filter(existsSync) : [];
const found = parents.flatMap((parent) => {
  const { pipelines } = JSON.parse(readFileSync(join(parent, 'golden.json'), 'utf8')) as {
    readonly pipelines: readonly GoldenPipeline[];
  };
  return pipelines
    .filter(({ task }) => tasks.includes(task))
    .map((golden) => [join(parent, golden.folder), golden] as const);
});

/** Every difference from Python's answer: numbers to 1e-4 (the goldens' bound on scores), all else exactly. */
function differences(actual: unknown, expected: unknown, path = ''): string[] {
  if (typeof expected === 'number' && typeof actual === 'number') {
    const off = Math.abs(actual - expected);
    return off <= (Number.isInteger(expected) ? 0 : 1e-4) ? [] : [`${path}: ${actual} instead of ${expected}`];
  }
  if (typeof expected !== 'object' || expected === null || typeof actual !== 'object' || actual === null) {
    return Object.is(actual, expected)
      ? []
      : [`${path}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`];
  }
  const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  const at = (value: object, key: string) => (value as Record<string, unknown>)[key];
  return [...keys].flatMap((key) => differences(at(actual, key), at(expected, key), `${path}/${key}`));
}

/**
 * The answers to questions were made by hand, without token types. The pipeline passes them, as that of transformers 4 does
 * (`tokenizer.model_input_names`), so that here they are taken away.
 */
function withoutTokenTypes(tokenizer: Tokenizer): void {
  const encode = tokenizer.encode.bind(tokenizer);
  jest.spyOn(tokenizer, 'encode').mockImplementation((text, options) => {
    const encoded = encode(text, options);
    return { ...encoded, token_type_ids: encoded.input_ids.map(() => 0) };
  });
}

if (found.length === 0) it.skip('pipelines (the goldens are not here)', () => undefined);
for (const [folder, { task, cases }] of found) {
  describe(folder, () => {
    let run: AnyPipeline;
    let close: () => Promise<void>;
    beforeAll(async () => {
      const opened = await pipeline(task, folder, { dtype: 'float32' });
      run = opened as unknown as AnyPipeline;
      if (task === 'question-answering') withoutTokenTypes(opened.tokenizer);
      close = () => opened.dispose();
    });
    afterAll(() => close());

    it.each(cases.map((one) => [JSON.stringify([one.input, one.options]).slice(0, 90), one] as const))(
      '%s',
      async (_, { input, options, output }) => {
        expect(differences(await run(input, options), output)).toEqual([]);
      },
    );
  });
}
