import { AutoTokenizer } from '../../../ts';
import { failures, identical } from '../goldens/comparison';
import { compareStream } from '../goldens/tokenizer';
import { Folders, goldenFolders, goldenTexts } from '../sentencepiece_folders';

const folders = new Folders();
afterAll(() => folders.remove());

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
