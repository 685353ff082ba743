import { readFileSync } from 'node:fs';
import { AutoTokenizer } from '../../../ts';
import { translationIds } from '../../../ts/pipelines/languages';
import { Tokenizer } from '../../../ts/tokenization';
import { DecoderStream, readDecoder } from '../../../ts/tokenization/decoders';
import { JsonPart } from '../../../ts/tokenization/json_part';
import { PIECE, readSentencePieceModel } from '../../../ts/tokenization/sentencepiece/model_file';
import { SentencePieceProcessor } from '../../../ts/tokenization/sentencepiece/processor';
import { tokenizerFilesFromSentencePiece } from '../../../ts/tokenization/sentencepiece/tokenizer_files';
import { failures, identical } from '../goldens/comparison';
import { compareStream } from '../goldens/tokenizer';
import { Folders, goldenFolder, goldenFolders, goldenTexts, modelFile } from '../sentencepiece_folders';

const folders = new Folders();
afterAll(() => folders.remove());

it.each(['m2m_100', 'mbart', 'mbart50', 'nllb'])(
  'translations of %s get the tokens of their languages',
  async (name) => {
    const golden = goldenFolder(name);
    const tokenizer = await AutoTokenizer.from_pretrained(folders.write(golden));
    // The languages of a tokenizer whose own is that of the text: a pipeline puts the same ids around it.
    const src_lang = golden.config.src_lang as string;
    const tgt_lang = { m2m_100: 'fr', nllb: 'fra_Latn' }[name] ?? 'fr_XX';
    for (const { text, ids } of golden.cases) {
      const found = translationIds('test', tokenizer, goldenTexts[text] as string, { src_lang, tgt_lang }, 1000);
      expect(found.input_ids).toEqual(ids);
      const id = tokenizer.convert_tokens_to_ids(name === 'm2m_100' ? `__${tgt_lang}__` : tgt_lang);
      expect(found.forced_bos_token_id).toBe(id);
      expect(id).not.toBe(tokenizer.unk_token_id);
    }
  },
);

describe.each(goldenFolders.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
  it("gives what Python's tokenizer gives", async () => {
    const tokenizer = await AutoTokenizer.from_pretrained(folders.write(golden));
    const comparisons = golden.cases.flatMap(({ text: place, ids, decoded, decoded_skip = decoded, offsets }) => {
      const text = goldenTexts[place] as string;
      const encoded = tokenizer.encode(text, { offsets: 'code_point' });
      const name = JSON.stringify(text).slice(0, 60);
      return [
        identical(`${name}, ids`, encoded.input_ids, ids),
        identical(`${name}, decoded`, tokenizer.decode(ids), decoded),
        identical(
          `${name}, without special tokens`,
          tokenizer.decode(ids, { skip_special_tokens: true }),
          decoded_skip,
        ),
        ...(offsets ? [identical(`${name}, offsets`, encoded.offsets.flat(), offsets)] : []),
        ...compareStream(tokenizer, ids),
      ];
    });
    expect(failures(comparisons)).toEqual([]);
    expect(tokenizer.encode('The dog', { text_pair: 'is here' }).input_ids).toEqual(golden.pair);
    expect(tokenizer.all_special_ids).toEqual(golden.special_ids);
    expect([tokenizer.vocab_size, tokenizer.length]).toEqual([golden.vocab_size, golden.length]);
    expect(tokenizer.init_kwargs.tokenizer_class).toBe(golden.class);
  });
});

it("Gemma's cuts are those of the library, bytes included", () => {
  const model = readSentencePieceModel(readFileSync(modelFile('bytes')), 'tokenizer.model');
  const library = new SentencePieceProcessor({ ...model, normalizer: { ...model.normalizer, addDummyPrefix: false } });
  const tokenizer = Tokenizer.fromFiles(
    tokenizerFilesFromSentencePiece({
      models: { 'tokenizer.model': model },
      tokenizerConfig: { tokenizer_class: 'GemmaTokenizer', bos_token: '<s>', eos_token: '</s>', add_bos_token: true },
    }),
  );
  for (const text of goldenTexts.filter((one) => !/[<>]/.test(one))) {
    const ids = library.encode(text).map(({ piece }) => library.idOf(piece));
    expect(tokenizer.encode(text).input_ids).toEqual([library.idOf('<s>'), ...ids]);
    expect(tokenizer.decode(ids)).toBe(text.replaceAll('\u2581', ' '));
  }
});

it('text is denormalized where the file has rules for it, run by run', () => {
  const model = readSentencePieceModel(readFileSync(modelFile('english')), 'x.model');
  const rules = { ...model.normalizer, addDummyPrefix: false, removeExtraWhitespaces: false, escapeWhitespaces: false };
  const processor = new SentencePieceProcessor({ ...model, denormalizer: rules });
  const decoder = readDecoder(new JsonPart({ type: 'SentencePiece', processor, special_tokens: ['</s>'] }, 'decoder'));
  const stream = new DecoderStream([decoder]);
  const tokens = ['\u2581', 'T', 'he', '\u2026', '</s>', '\u2581', 'o', '\u0308', '\uff21'];
  expect(tokens.map((token) => stream.push(token)).join('') + stream.flush()).toBe('The...</s>\u00f6A');
});

it.each([
  // What the library gives with every third piece that is longer than a character marked as unused.
  ['english', '▁ T h e ▁dog ▁ d o es ▁ n o t ▁ m i nd ▁the ▁ o ther ▁ c ap i tal .'],
  ['pairs', '▁The ▁dog ▁do es ▁n o t ▁ m in d ▁the ▁o t her ▁capital .'],
])('pieces of %s that are marked as unused are not used', (name, pieces) => {
  const model = readSentencePieceModel(readFileSync(modelFile(name)), 'x.model');
  const types = model.types.map((type, id) =>
    type === PIECE.normal && [...(model.pieces[id] as string)].length > 1 && id % 3 === 0 ? PIECE.unused : type,
  );
  const processor = new SentencePieceProcessor({ ...model, types });
  const found = processor.encode('The dog does not mind the other capital.').map(({ piece }) => piece);
  expect(found.join(' ')).toBe(pieces);
});
