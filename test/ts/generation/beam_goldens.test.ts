import { join } from 'node:path';
import { AutoModelForCausalLM, type GenerateOptions } from '../../../ts';
import { decoderFamilies } from '../../../ts/models/decoder_families';
import { goldensFolder } from '../goldens_folder';
import { decoderFolders, GoldenFolder } from '../models/golden_folder';

interface BeamCase {
  readonly input: string;
  readonly kwargs: GenerateOptions;
  readonly sequences: readonly (readonly number[])[];
  readonly sequences_scores: readonly number[];
}

const families = decoderFamilies.map(({ model_type }) => model_type);
const goldens = goldensFolder();
const cases = (goldens ? decoderFolders(join(goldens, 'models'), families) : [])
  .map((folder) => new GoldenFolder(folder))
  .flatMap((folder) =>
    (folder.golden.beam ?? []).map((one, index) => [`${folder.name} ${index}`, folder, one as BeamCase] as const),
  );

if (cases.length > 0) {
  it.each(cases)(
    "beams of Python's generate(): %s",
    async (_, folder, { input, kwargs, sequences, sequences_scores }) => {
      await using model = await AutoModelForCausalLM.from_pretrained(folder.folder, { dtype: 'float32' });
      const prompt = folder.ids(input);
      const found = await model.generate({ input_ids: [prompt] }, { eos_token_id: null, ...kwargs });
      expect(found.sequences.map((ids) => ids.slice(prompt.length))).toEqual(sequences);
      const off = (found.sequences_scores ?? []).map((score, index) =>
        Math.abs(score - (sequences_scores[index] ?? 0)),
      );
      expect(Math.max(...off)).toBeLessThan(1e-3);
    },
  );
}
