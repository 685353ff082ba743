import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForMaskedLM, AutoModelForSeq2SeqLM, nn } from '../../../ts';
import { failures, sameBits } from '../goldens/comparison';
import { safetensorsBytes } from '../random_checkpoint';
import { type GoldenTensor, readSafetensors } from '../safetensors';

const fixtures = join(__dirname, '..', '..', 'fixtures', 'models');

/**
 * Makes a checkpoint of random weights with the sizes of a fixture, whose matrices are tied, and a copy of it that says that nothing is tied, with
 * the tensors as `change` leaves them.
 */
async function withUntied(
  fixture: string,
  change: (tensors: Map<string, GoldenTensor>) => void,
  use: (tied: string, untied: string, vocabulary: number) => Promise<void>,
): Promise<void> {
  const [tied, untied] = ['tied', 'untied'].map((name) => mkdtempSync(join(tmpdir(), `octoformer-${name}-`))) as [
    string,
    string,
  ];
  try {
    const config = JSON.parse(readFileSync(join(fixtures, fixture, 'config.json'), 'utf8')) as { vocab_size: number };
    await nn.init(config, tied, { seed: 6 });
    const tensors = readSafetensors(join(tied, 'model.safetensors'));
    change(tensors);
    const stored = [...tensors].map(([name, tensor]) => ({ name, ...tensor }));
    writeFileSync(join(untied, 'model.safetensors'), safetensorsBytes(stored));
    writeFileSync(join(untied, 'config.json'), JSON.stringify({ ...config, tie_word_embeddings: false }));
    await use(tied, untied, config.vocab_size);
  } finally {
    for (const folder of [tied, untied]) rmSync(folder, { recursive: true });
  }
}

/** The tensor, taken out of the checkpoint. */
function take(tensors: Map<string, GoldenTensor>, name: string): GoldenTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`there is no '${name}', but ${[...tensors.keys()].join(', ')}`);
  tensors.delete(name);
  return tensor;
}

/** The matrix with its last row first. */
function reversedRows({ shape, data }: GoldenTensor): GoldenTensor {
  const width = shape[1] ?? 1;
  const rows = Array.from({ length: data.length / width }, (_, row) => data.subarray(row * width, (row + 1) * width));
  return { shape, data: Float32Array.from(rows.reverse().flatMap((row) => [...row])) };
}

it("BART's encoder, decoder and head read tables of their own where nothing is tied", async () => {
  const split = (tensors: Map<string, GoldenTensor>) => {
    const table = take(tensors, 'model.shared.weight');
    tensors.set('model.shared.weight', { ...table, data: new Float32Array(table.data.length) });
    tensors.set('model.encoder.embed_tokens.weight', reversedRows(table));
    tensors.set('model.decoder.embed_tokens.weight', table);
    tensors.set('lm_head.weight', table);
  };
  await withUntied('bart', split, async (tied, untied, vocabulary) => {
    const decoder_input_ids = [[2, 5, 8]];
    const ids = [6, 9, 4, 11];
    await using reference = await AutoModelForSeq2SeqLM.from_pretrained(tied);
    const expected = await reference.forward({ input_ids: [ids], decoder_input_ids });
    await using model = await AutoModelForSeq2SeqLM.from_pretrained(untied);
    const input_ids = [ids.map((id) => vocabulary - 1 - id)];
    const { logits } = await model.forward({ input_ids, decoder_input_ids });
    expect(failures([sameBits('logits', logits[0]?.data, expected.logits[0]?.data)])).toEqual([]);
  });
});

it("BERT's scores of words have the bias of the decoder where the head has another one", async () => {
  const split = (tensors: Map<string, GoldenTensor>) => {
    const bias = take(tensors, 'cls.predictions.bias');
    tensors.set('cls.predictions.decoder.bias', bias);
    tensors.set('cls.predictions.bias', { ...bias, data: bias.data.map((value) => value + 1) });
  };
  await withUntied('bert-mlm', split, async (tied, untied) => {
    const input_ids = [[2, 5, 8, 3]];
    await using reference = await AutoModelForMaskedLM.from_pretrained(tied);
    const expected = await reference.forward({ input_ids });
    await using model = await AutoModelForMaskedLM.from_pretrained(untied);
    const { logits } = await model.forward({ input_ids });
    expect(failures([sameBits('logits', logits[0]?.data, expected.logits[0]?.data)])).toEqual([]);
  });
});
