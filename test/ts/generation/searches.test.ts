import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutoModelForCausalLM, type GenerateOptions } from '../../../ts';
import { decoderFamilies } from '../../../ts/models/decoder_families';
import { goldensFolder } from '../goldens_folder';
import { decoderFolders, GoldenFolder } from '../models/golden_folder';

interface SearchCase {
  readonly input_ids: readonly number[];
  readonly kwargs: GenerateOptions;
  /** Without the prompt, up to the first end-of-sequence id. */
  readonly sequences: readonly (readonly number[])[];
  readonly sequences_scores?: readonly number[];
}

type BeamGolden = Omit<SearchCase, 'input_ids'> & { readonly input: string };

const llama = join(__dirname, '..', '..', 'fixtures', 'models', 'llama');
const fixtures = JSON.parse(readFileSync(join(llama, 'searches.golden.json'), 'utf8')) as SearchCase[];
const families = decoderFamilies.map(({ model_type }) => model_type);
const goldens = goldensFolder();
const golden = (goldens ? decoderFolders(join(goldens, 'models'), families) : [])
  .map((folder) => new GoldenFolder(folder))
  .flatMap((folder) =>
    (folder.golden.beam ?? []).map((one, index): readonly [string, string, SearchCase] => {
      const { input, ...rest } = one as BeamGolden;
      return [`${folder.name} ${index}`, folder.folder, { input_ids: folder.ids(input), ...rest }];
    }),
  );
const cases = [
  ...fixtures.map((one, index): readonly [string, string, SearchCase] => [`fixture ${index}`, llama, one]),
  ...golden,
];

describe("what Python's generate() finds", () => {
  it.each(cases)('%s', async (_, folder, { input_ids, kwargs, sequences, sequences_scores }) => {
    await using model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: 'float32' });
    const found = await model.generate({ input_ids: [input_ids] }, { eos_token_id: null, do_sample: false, ...kwargs });
    expect(found.sequences.map((ids) => ids.slice(input_ids.length))).toEqual(sequences);
    const scores = found.sequences_scores ?? [];
    expect(scores).toHaveLength(sequences_scores?.length ?? 0);
    // The bound of the goldens' README: sums of some ten float32 log-probabilities.
    for (const [index, score] of scores.entries()) {
      expect(Math.abs(score - (sequences_scores?.[index] ?? 0))).toBeLessThan(1e-3);
    }
  });
});
