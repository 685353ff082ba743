import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForSeq2SeqLM, AutoTokenizer, type GenerateOptions, pipeline } from '../../../ts';

const folder = join(__dirname, '..', '..', 'fixtures', 'models', 'marian');

/** What Python's tokenizer, `generate` and tokenizer again make of texts. */
const { translations } = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as {
  readonly translations: readonly {
    readonly text: string;
    readonly options: GenerateOptions;
    readonly input_ids: readonly number[];
    readonly ids: readonly number[];
    readonly translation_text: string;
  }[];
};

// A folder as OPUS-MT's repositories are: SentencePiece files, and no tokenizer.json.
it.each(translations.map((golden) => [JSON.stringify([golden.text, golden.options]), golden] as const))(
  'translates as Python does: %s',
  async (_, { text, options, input_ids, ids, translation_text }) => {
    await using translate = await pipeline('translation', folder, { dtype: 'float32' });
    expect(translate.tokenizer.encode(text).input_ids).toEqual(input_ids);
    expect(await translate(text, options)).toEqual([{ translation_text }]);
    const { sequences } = await translate.model.generate({ input_ids: [input_ids] }, options);
    expect(sequences).toEqual([ids]);
  },
);

it('saves a model with the files of its tokenizer', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'octoformer-marian-'));
  const saved = join(parent, 'saved');
  await using model = await AutoModelForSeq2SeqLM.from_pretrained(folder);
  await model.save_pretrained(saved);
  for (const name of ['source.spm', 'target.spm', 'vocab.json', 'tokenizer_config.json'])
    expect(readFileSync(join(saved, name))).toEqual(readFileSync(join(folder, name)));
  const tokenizer = await AutoTokenizer.from_pretrained(saved);
  for (const { text, input_ids } of translations) expect(tokenizer.encode(text).input_ids).toEqual(input_ids);
  rmSync(parent, { recursive: true });
});
