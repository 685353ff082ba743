import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutoTokenizer, OctoformerError } from '../../../ts';
import { planFolder } from '../../../ts/hub/plan_folder';
import { readSentencePieceModel } from '../../../ts/tokenization/sentencepiece/model_file';
import { SentencePieceProcessor } from '../../../ts/tokenization/sentencepiece/processor';
import { rejection } from '../failure';
import { Folders, goldenFolder, modelFile } from '../sentencepiece_folders';

const folders = new Folders();
afterAll(() => folders.remove());

const english = readFileSync(modelFile('english'));
const marian = goldenFolder('marian');

/** What reading a file and cutting a text with it comes to: 'fine', or the error's code and message. */
function outcome(bytes: Uint8Array): string {
  try {
    new SentencePieceProcessor(readSentencePieceModel(bytes, 'source.spm')).encode('The dog… 你好 <special> Zwölf');
    return 'fine';
  } catch (error) {
    if (OctoformerError.is(error)) return `${error.code} ${error.message}`;
    throw error;
  }
}

/** A protobuf field that holds bytes. */
function field(number: number, content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content);
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), bytes]);
}

const unknownPiece = field(1, Buffer.concat([field(1, '<unk>'), Buffer.from([0x18, 2])]));

describe('a file that is damaged', () => {
  it('is refused by name, or read where only the end of its list is missing, at every length', () => {
    const outcomes = Array.from({ length: english.length }, (_, length) => outcome(english.subarray(0, length)));
    const refused = outcomes.filter((one) => one !== 'fine');
    expect(refused.every((one) => one.startsWith('INVALID_TOKENIZER source.spm: '))).toBe(true);
    // What ends between two fields is a whole message: nothing in such files says how long they are.
    expect(refused.length).toBeGreaterThan(0.9 * english.length);
    expect(outcomes[0]).toContain('empty, cut off, or no SentencePiece file');
    expect(outcomes[100]).toContain('bytes are announced at byte');
  });

  it('is refused by name or read, whatever bytes are changed', () => {
    let state = 12345;
    const random = (limit: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const counts = { fine: 0, refused: 0 };
    for (let round = 0; round < 1500; round++) {
      const bytes = Buffer.from(english);
      for (let change = 0; change <= round % 4; change++) bytes[random(bytes.length)] = random(256);
      const found = outcome(bytes);
      if (found === 'fine') counts.fine++;
      else {
        expect(found).toMatch(/^INVALID_TOKENIZER source\.spm: /);
        counts.refused++;
      }
    }
    expect(Math.min(counts.fine, counts.refused)).toBeGreaterThan(100);
  });

  it.each([
    ['lengths beyond the file', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), '4294967295 bytes are announced'],
    ['lengths below zero', Buffer.from([0x0a, ...Array(9).fill(0xff), 0x01]), 'bytes are announced'],
    ['numbers without an end', Buffer.alloc(40, 0xff), 'more than 64 bits'],
    ['groups, which protobuf has given up', Buffer.from([0x0b]), 'wire type 3'],
    ['text', Buffer.from('[[package]]'), 'wire type'],
    ['no unknown piece', field(1, field(1, 'a')), 'no piece is the unknown one'],
    [
      'two pieces that are the same',
      Buffer.concat([unknownPiece, field(1, field(1, 'a')), field(1, field(1, 'a'))]),
      'are both "a"',
    ],
    ['words for pieces', Buffer.concat([unknownPiece, field(2, Buffer.from([0x18, 3]))]), 'kind of model is word'],
    [
      'replacements of any length',
      Buffer.concat([unknownPiece, field(3, field(2, Buffer.concat([Buffer.alloc(8), Buffer.alloc(5000, 'x')])))]),
      'replacement of 5000 bytes',
    ],
  ])('is refused for %s', (_, bytes, reason) => {
    expect(outcome(bytes)).toContain(reason);
  });

  it('takes time in proportion to the text', () => {
    const processor = new SentencePieceProcessor(readSentencePieceModel(english, 'source.spm'));
    const pairs = new SentencePieceProcessor(readSentencePieceModel(readFileSync(modelFile('pairs')), 'x.model'));
    const long = 'The dog does not mind. x'.repeat(10_000);
    expect(
      processor
        .encode(long)
        .map(({ piece }) => piece)
        .join('').length,
    ).toBe(long.length + 1);
    expect(pairs.encode(long).at(-1)?.end).toBe(long.length);
  });
});

describe('a folder', () => {
  const refusal = async (folder: string): Promise<string> => {
    const { code, message } = await rejection(AutoTokenizer.from_pretrained(folder));
    return `${code} ${message}`;
  };

  it('is opened without target.spm, which only Python asks for', async () => {
    const tokenizer = await AutoTokenizer.from_pretrained(folders.write(marian, ['target.spm']));
    expect(tokenizer.encode('The capital').input_ids).toEqual(
      (await AutoTokenizer.from_pretrained(folders.write(marian))).encode('The capital').input_ids,
    );
    expect(tokenizer.model_max_length).toBe(512);
    expect(tokenizer.model_input_names).toEqual(['input_ids', 'attention_mask']);
  });

  it('is refused without a file that its class needs, which the message names', async () => {
    expect(await refusal(folders.write(marian, ['vocab.json']))).toMatch(
      /^INVALID_TOKENIZER vocab\.json: MarianTokenizer needs/,
    );
    expect(await refusal(folders.write(marian, ['source.spm']))).toMatch(/^NOT_FOUND .*neither tokenizer\.json nor/);
    expect(await refusal(folders.write(marian, ['source.spm', 'target.spm']))).toMatch(
      /^NOT_FOUND tokenizer\.json .*source\.spm/,
    );
    const wrong = { ...goldenFolder('m2m_100'), models: { 'spiece.model': 'pairs' } };
    expect(await refusal(folders.write(wrong))).toMatch(
      /^INVALID_TOKENIZER sentencepiece\.bpe\.model: M2M100Tokenizer needs/,
    );
  });

  it('is refused for a file that is cut off, which the message names', async () => {
    const folder = folders.write(marian);
    writeFileSync(join(folder, 'source.spm'), english.subarray(0, 1000));
    expect(await refusal(folder)).toMatch(/^INVALID_TOKENIZER source\.spm: \d+ bytes are announced/);
  });

  it('is refused for classes that are not known', async () => {
    const named = (tokenizer_class: string) => folders.write({ ...marian, config: { tokenizer_class } });
    expect(await refusal(named('XLNetTokenizer'))).toMatch(
      /^UNSUPPORTED_ARCHITECTURE XLNetTokenizer can't be made of .*MarianTokenizer/,
    );
    const { model_type: _, ...untyped } = marian;
    expect(await refusal(folders.write(untyped))).toMatch(/^UNSUPPORTED_ARCHITECTURE .*model type/);
    expect(await refusal(folders.write({ ...marian, config: { separate_vocabs: true } }))).toMatch(
      /^UNSUPPORTED_OPTION .*separate_vocabs/,
    );
  });

  it('is refused for settings that fit no token', async () => {
    const { '<unk>': _, ...vocab } = marian.vocab as Record<string, number>;
    expect(await refusal(folders.write({ ...marian, vocab }))).toMatch(
      /^INVALID_TOKENIZER .*the unknown token "<unk>"/,
    );
    const m2m = goldenFolder('m2m_100');
    expect(await refusal(folders.write({ ...m2m, config: { src_lang: 'xx' } }))).toMatch(
      /src_lang: unknown language "xx"/,
    );
    const mbart = goldenFolder('mbart');
    expect(await refusal(folders.write({ ...mbart, config: { ...mbart.config, src_lang: 'xx' } }))).toMatch(
      /no token "xx"/,
    );
    const t5 = goldenFolder('t5');
    expect(await refusal(folders.write({ ...t5, config: { extra_ids: 2e9 } }))).toMatch(/extra_ids: 2000000000 tokens/);
  });

  it('knows the languages of M2M100 also where the files do not list them, with the same ids', async () => {
    const m2m = goldenFolder('m2m_100');
    const listed = await AutoTokenizer.from_pretrained(folders.write(m2m));
    const unlisted = await AutoTokenizer.from_pretrained(folders.write({ ...m2m, config: { src_lang: 'de' } }));
    for (const token of ['__af__', '__de__', '__zu__'])
      expect(unlisted.convert_tokens_to_ids(token)).toBe(listed.convert_tokens_to_ids(token));
    expect(unlisted.encode('dog').input_ids).toEqual(listed.encode('dog').input_ids);
  });

  it('has SentencePiece files in its plan only where there is no tokenizer.json', async () => {
    const folder = folders.write(marian);
    const { tokenizerFiles } = await planFolder(folder, { what: 'tokenizer' });
    expect(Object.keys(tokenizerFiles).sort()).toEqual([
      'sourcePieces',
      'targetPieces',
      'tokenizerConfig',
      'vocabulary',
    ]);
    writeFileSync(
      join(folder, 'tokenizer.json'),
      '{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}',
    );
    const plan = await planFolder(folder, { what: 'tokenizer' });
    expect(Object.keys(plan.tokenizerFiles).sort()).toEqual(['tokenizer', 'tokenizerConfig']);
    rmSync(join(folder, 'source.spm'));
    expect((await AutoTokenizer.from_pretrained(folder)).vocab_size).toBe(1);
  });
});
