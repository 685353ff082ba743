import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AutoModelForCausalLM,
  AutoModelForSeq2SeqLM,
  architectureNames,
  info,
  type LoadOptions,
  nn,
  type Tensor,
} from '../../../ts';
import { type Comparison, failures, sameBits } from '../goldens/comparison';
import { goldensFolder } from '../goldens_folder';
import { randomNumbers } from '../random_checkpoint';
import { openEncoder } from './encoder_folder';
import { checkpointFolders, modelType, readGolden } from './golden_folder';

// The configurations are those of the fixtures, and where a family has none, of the goldens; the weights are random, and the models take 320
// tokens, whatever the fixture's do.
const goldens = goldensFolder();
const checkpoints = [
  ...checkpointFolders(join(__dirname, '..', '..', 'fixtures', 'models')),
  ...(goldens ? checkpointFolders(join(goldens, 'models')) : []),
];
/** Families without a fixture whose configurations have the keys of another one's. */
const kin: Readonly<Record<string, string>> = { m2m_100: 'bart', marian: 'bart', mbart: 'bart', pegasus: 'bart' };
const families = architectureNames().flatMap((family) => {
  const folder = [family, kin[family]].flatMap((type) => checkpoints.filter((one) => modelType(one) === type))[0];
  return folder ? [[family, folder] as const] : [];
});
const positionKeys = ['max_position_embeddings', 'n_positions', 'n_ctx', 'seq_length'];
const longest = 320;

/** Of one sequence, two, seven and all 33 are batches: long ones beside short ones, across pages of the cache and tiles of the kernels. */
const long = info().isa === 'scalar' ? 70 : 300; // scalar code would take a minute for all families
const lengths = [1, long, 2, 65, 17, 64, 33, ...Array.from({ length: 26 }, (_, index) => 1 + ((index * 5) % 13))];
const batches = [1, 2, 7, 33];

/** All sequences' results by name. */
type Run = (sequences: readonly (readonly number[])[]) => Promise<Readonly<Record<string, readonly Tensor[]>>>;

/** Opens a model as what its golden results were made with. */
async function openRun(folder: string, kind: string, architecture: string, options: LoadOptions) {
  if (kind === 'decoder') {
    const model = await AutoModelForCausalLM.from_pretrained(folder, options);
    const run: Run = async (input_ids) => {
      const { logits, last_hidden_state } = await model.forward({ input_ids });
      return { logits, last_hidden_state };
    };
    return { model, run };
  }
  if (kind === 'encdec') {
    const model = await AutoModelForSeq2SeqLM.from_pretrained(folder, options);
    const run: Run = async (input_ids) => {
      const decoder_input_ids = input_ids.map((ids) => ids.slice(Math.floor(ids.length / 2)));
      const { logits, encoder_last_hidden_state = [] } = await model.forward({ input_ids, decoder_input_ids });
      return { logits, encoder_last_hidden_state };
    };
    return { model, run };
  }
  const model = await openEncoder(folder, architecture, options);
  const run: Run = async (input_ids) => {
    const { hidden_states: _hidden, attentions: _attentions, ...outputs } = await model.forward({ input_ids });
    return { ...outputs };
  };
  return { model, run };
}

it.each(families)(
  '%s: a sequence gets the bits that it gets alone, in float32 and int8',
  async (family, checkpoint) => {
    const { kind, architecture } = readGolden(checkpoint);
    const config = JSON.parse(readFileSync(join(checkpoint, 'config.json'), 'utf8')) as Record<string, unknown>;
    config.model_type = family;
    for (const key of positionKeys) if (key in config) config[key] = longest;
    const next = randomNumbers(5);
    const sequences = lengths.map((length) =>
      Array.from({ length }, () => 3 + Math.floor(((next() + 1) / 2) * (Number(config.vocab_size) - 3))),
    );
    const folder = mkdtempSync(join(tmpdir(), 'octoformer-ragged-'));
    try {
      await nn.init(config, folder, { seed: 1 });
      for (const quantization of ['none', 'int8'] as const) {
        const { model, run } = await openRun(folder, kind, architecture, { quantization, threads: 2 });
        await using _ = model;
        const alone = await Promise.all(sequences.map((ids) => run([ids])));
        const comparisons: Comparison[] = [];
        for (const count of batches) {
          const together = await run(sequences.slice(0, count));
          for (const [name, tensors] of Object.entries(together)) {
            expect(tensors).toHaveLength(count);
            for (const [index, tensor] of tensors.entries()) {
              const label = `${quantization}, ${count} sequences: ${name} of sequence ${index}`;
              comparisons.push(sameBits(label, tensor.data, alone[index]?.[name]?.[0]?.data));
            }
          }
        }
        expect(comparisons.length).toBeGreaterThanOrEqual(1 + 2 + 7 + 33);
        expect(failures(comparisons)).toEqual([]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  60_000,
);

it('covers every family', () => {
  expect(families.map(([family]) => family)).toEqual(architectureNames());
});
