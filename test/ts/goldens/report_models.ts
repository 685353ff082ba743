import { basename } from 'node:path';
import { AutoModelForCausalLM } from '../../../ts';
import { OctoformerError } from '../../../ts/binding/error';
import { EncoderFolder } from '../models/encoder_folder';
import { checkpointFolders, GoldenFolder, modelType, readGolden } from '../models/golden_folder';
import { Seq2SeqFolder } from '../models/seq2seq_folder';
import type { Comparison } from './comparison';
import type { Candidate, Plan } from './report_plan';

const columns = ['hidden states', 'attentions', 'logits', 'greedy', 'beams', 'ragged', 'cache'] as const;

type Column = (typeof columns)[number];
type Part = readonly [Column, readonly Comparison[]];

/** How a checkpoint is compared, by the `kind` that its golden.json has. */
const byKind: Readonly<Record<string, (folder: string) => AsyncIterable<Part>>> = {
  decoder: compareDecoder,
  encoder: compareEncoder,
  encdec: compareEncoderDecoder,
};

/** Every checkpoint of a folder, in float32. */
export function modelSection(parent: string): Plan {
  const candidates = () =>
    checkpointFolders(parent).map(
      (folder): Candidate => ({
        name: basename(folder),
        family: () => modelType(folder),
        compare: () => (byKind[readGolden(folder).kind] ?? compareUnknown)(folder),
      }),
    );
  return { name: 'models', columns, candidates };
}

// biome-ignore lint/correctness/useYield: there is nothing to compare
async function* compareUnknown(folder: string): AsyncIterable<Part> {
  const { kind } = readGolden(folder);
  throw new OctoformerError('UNSUPPORTED_ARCHITECTURE', `models of kind '${kind}' can't be compared`);
}

async function* compareDecoder(path: string): AsyncIterable<Part> {
  const folder = new GoldenFolder(path);
  await using model = await AutoModelForCausalLM.from_pretrained(path, { dtype: 'float32' });
  yield* byOutput(await folder.compareForward(model));
  yield ['greedy', [...(await folder.compareGreedy(model)), ...(await folder.compareSteps(model))]];
  yield ['beams', await folder.compareBeams(model)];
  yield ['ragged', await folder.compareRagged(model)];
  if (!folder.dependsOnLength) yield ['cache', await folder.compareCache(model)];
}

async function* compareEncoder(path: string): AsyncIterable<Part> {
  const folder = new EncoderFolder(path);
  await using model = await folder.open({ dtype: 'float32' });
  yield* byOutput(await folder.compareForward(model));
  yield ['ragged', await folder.compareRagged(model)];
}

async function* compareEncoderDecoder(path: string): AsyncIterable<Part> {
  const folder = new Seq2SeqFolder(path);
  await using model = await folder.open({ dtype: 'float32' });
  yield* byOutput(await folder.compareForward(model));
  yield ['greedy', await folder.compareGreedy(model)];
  yield ['beams', await folder.compareBeams(model)];
  yield ['ragged', await folder.compareRagged(model)];
  yield ['cache', await folder.compareCache(model)];
}

/** The tensors of a forward pass by what they are. */
function* byOutput(comparisons: readonly Comparison[]): Iterable<Part> {
  const columnOf = ({ name }: Comparison): Column => {
    if (name.includes('attentions')) return 'attentions';
    return name.includes('hidden_state') ? 'hidden states' : 'logits';
  };
  for (const column of columns) yield [column, comparisons.filter((one) => columnOf(one) === column)];
}
