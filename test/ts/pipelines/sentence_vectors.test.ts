import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutoModel, pipeline } from '../../../ts';
import { type SentenceVectors, sentenceVectors } from '../../../ts/pipelines/sentence_vectors';
import { rejection } from '../failure';
import { modulesJson, poolingJson, sentenceFolder } from './sentence_folder';

const texts = ['The earth was light.', 'God, who was tired', 'the light'];
const [source_sentence = '', ...sentences] = texts;
const input = { source_sentence, sentences };

/** How a matrix of a row a token becomes one vector. */
const pools: Readonly<Record<SentenceVectors['pooling'], (rows: readonly number[][]) => readonly number[]>> = {
  cls: ([first = []]) => first,
  last: (rows) => rows.at(-1) ?? [],
  mean: (rows) => (rows[0] ?? []).map((_, at) => rows.reduce((sum, row) => sum + (row[at] ?? 0), 0) / rows.length),
};

/** The cosines of the pooled vectors of the texts, made of every token's. */
async function cosines(source: string, pooling: SentenceVectors['pooling']): Promise<readonly number[]> {
  await using extract = await pipeline('feature-extraction', source);
  const [first = [], ...others] = (await extract(texts)).map(pools[pooling]);
  const dot = (other: readonly number[]) => other.reduce((sum, value, at) => sum + value * (first[at] ?? 0), 0);
  return others.map((other) => dot(other) / Math.hypot(...other) / Math.hypot(...first));
}

async function similarities(source: string, options: Partial<SentenceVectors> = {}): Promise<readonly number[]> {
  const { pooling } = options;
  await using similarity = await pipeline('sentence-similarity', source, pooling ? { pooling } : {});
  return await similarity(input);
}

// Vectors are rounded to float32 after pooling and after division by their lengths.
const near = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 5));

/** What the files say where they say nothing else. */
const plain = { includePrompt: true, lowerCase: false };
const all = modulesJson('Transformer', 'Pooling', 'Normalize');

describe("sentence similarity pools as sentence-transformers' files say", () => {
  it.each([
    ['bert', 'cls_token', 'cls'],
    ['bert', 'mean_tokens', 'mean'],
    ['bert', 'lasttoken', 'last'],
    ['llama-chat', 'lasttoken', 'last'],
    ['llama-chat', 'mean_tokens', 'mean'],
  ] as const)('%s: %s', async (model, key, pooling) => {
    using folder = sentenceFolder(model, { 'modules.json': all, '1_Pooling/config.json': poolingJson(key) });
    const found = await similarities(folder.path);
    expect(found).toEqual(near(await cosines(folder.path, pooling)));
    const other = pooling === 'last' ? 'mean' : 'last';
    expect(found).not.toEqual(near(await cosines(folder.path, other)));
    expect(await similarities(folder.path, { pooling: other })).toEqual(near(await cosines(folder.path, other)));
    await using similarity = await pipeline('sentence-similarity', folder.path);
    expect(await similarity(input, { pooling: other })).toEqual(near(await cosines(folder.path, other)));
  });

  it('and so does what was saved', async () => {
    const last = poolingJson('lasttoken');
    using folder = sentenceFolder('bert', { 'modules.json': all, '1_Pooling/config.json': last });
    const saved = join(folder.path, 'saved', 'int8');
    await using model = await AutoModel.from_pretrained(folder.path, { quantization: 'int8' });
    await model.save_pretrained(saved);
    await model.save_pretrained(saved); // over the older files
    expect(readFileSync(join(saved, 'modules.json'), 'utf8')).toBe(
      readFileSync(join(folder.path, 'modules.json'), 'utf8'),
    );
    expect(readdirSync(join(saved, '1_Pooling'))).toEqual(['config.json']);
    expect(readdirSync(saved).filter((name) => name.endsWith('.partial'))).toEqual([]);
    expect(await similarities(saved)).toEqual(near(await cosines(saved, 'last')));
  });

  it('and takes the mean where there are none, and where another file is meant', async () => {
    const bert = join(__dirname, '..', '..', 'fixtures', 'models', 'bert');
    expect(await similarities(bert)).toEqual(near(await cosines(bert, 'mean')));
    const gguf = join(__dirname, '..', '..', 'fixtures', 'gguf');
    const expected = { ...plain, pooling: 'mean', normalize: true };
    expect(await sentenceVectors({ where: 'here', source: bert })).toEqual(expected);
    expect(await sentenceVectors({ where: 'here', source: gguf, gguf_file: 'any.gguf' })).toEqual(expected);
  });

  it('feature extraction gives a vector a token nevertheless', async () => {
    using folder = sentenceFolder('bert', { 'modules.json': all, '1_Pooling/config.json': poolingJson('cls_token') });
    await using extract = await pipeline('feature-extraction', folder.path);
    await using plain = await pipeline('feature-extraction', join(__dirname, '..', '..', 'fixtures', 'models', 'bert'));
    expect(await extract(texts)).toEqual(await plain(texts));
  });
});

describe('what the files say', () => {
  const read = async (files: Readonly<Record<string, string>>) => {
    using folder = sentenceFolder('bert', files);
    return await sentenceVectors({ where: 'here', source: folder.path });
  };
  const modules = (...rest: object[]) =>
    JSON.stringify([{ type: 'sentence_transformers.models.Transformer', path: '' }, ...rest]);
  const pooling = { type: 'sentence_transformers.models.Pooling', path: '1_Pooling' };
  const cls = poolingJson('cls_token');

  it.each<[string, string, string, SentenceVectors]>([
    ['no module Normalize', modulesJson('Transformer', 'Pooling'), cls, { ...plain, pooling: 'cls', normalize: false }],
    ['a module Normalize', all, cls, { ...plain, pooling: 'cls', normalize: true }],
    [
      'no pooling_mode at all is the mean',
      all,
      '{"word_embedding_dimension": 16}',
      { ...plain, pooling: 'mean', normalize: true },
    ],
    ['pooling_mode by name', all, '{"pooling_mode": "lasttoken"}', { ...plain, pooling: 'last', normalize: true }],
    [
      'packages between, as in other releases',
      modules({ ...pooling, type: 'sentence_transformers.sentence_transformer.modules.pooling.Pooling' }),
      cls,
      { ...plain, pooling: 'cls', normalize: false },
    ],
    [
      'a pooling without prompts',
      all,
      '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false, "include_prompt": false}',
      { ...plain, pooling: 'cls', normalize: true, includePrompt: false },
    ],
  ])('%s', async (_, modulesText, poolingText, expected) => {
    expect(await read({ 'modules.json': modulesText, '1_Pooling/config.json': poolingText })).toEqual(expected);
  });

  it('the folder of the pooling may have any name', async () => {
    const files = { 'modules.json': modules({ ...pooling, path: 'a/b' }), 'a/b/config.json': cls };
    expect(await read(files)).toEqual({ ...plain, pooling: 'cls', normalize: false });
  });

  const config = '1_Pooling/config.json';
  it.each<[string, Readonly<Record<string, string>>, string, readonly string[]]>([
    ['max', { [config]: poolingJson('max_tokens') }, 'UNSUPPORTED_OPTION', [config, 'by max,', "give 'pooling'"]],
    ['two', { [config]: poolingJson('cls_token', 'mean_tokens') }, 'UNSUPPORTED_OPTION', ['by mean and cls,']],
    ['none', { [config]: poolingJson() }, 'UNSUPPORTED_OPTION', ['by none,']],
    ['sqrt', { [config]: poolingJson('mean_sqrt_len_tokens') }, 'UNSUPPORTED_OPTION', ['by mean_sqrt_len,']],
    ['weighted', { [config]: '{"pooling_mode":"weightedmean"}' }, 'UNSUPPORTED_OPTION', ['by weightedmean,']],
    [
      'text',
      { [config]: '{"pooling_mode_cls_token":"yes"}' },
      'INVALID_CHECKPOINT',
      [config, 'pooling_mode_cls_token'],
    ],
    ['a prompt', { [config]: '{"include_prompt": 1}' }, 'INVALID_CHECKPOINT', [config, "'include_prompt'"]],
    [
      'lengths',
      { [config]: cls, 'sentence_bert_config.json': '{"max_seq_length": 0}' },
      'INVALID_CHECKPOINT',
      ['sentence_bert_config.json', "'max_seq_length' must be a number of tokens"],
    ],
    [
      'case',
      { [config]: cls, 'sentence_bert_config.json': '{"do_lower_case": "no"}' },
      'INVALID_CHECKPOINT',
      ["'do_lower_case'"],
    ],
    ['broken', { [config]: '{"pooling_mode_cls_token":' }, 'INVALID_CHECKPOINT', [config, 'no valid JSON']],
    ['missing', {}, 'NOT_FOUND', [config, 'modules.json', "give 'pooling'"]],
    ['list', { 'modules.json': '{}' }, 'INVALID_CHECKPOINT', ['modules.json', 'list']],
    ['cut', { 'modules.json': '[{' }, 'INVALID_CHECKPOINT', ['modules.json', 'no valid JSON']],
    ['null', { 'modules.json': '[null]' }, 'INVALID_CHECKPOINT', ['module 0']],
    ['bare', { 'modules.json': modules() }, 'UNSUPPORTED_OPTION', ['1 modules', 'Pooling']],
    [
      'Dense',
      { 'modules.json': modulesJson('Transformer', 'Pooling', 'Dense', 'Normalize'), [config]: cls },
      'UNSUPPORTED_OPTION',
      ["'sentence_transformers.models.Dense'", "give 'pooling'"],
    ],
    [
      'own code',
      { 'modules.json': modules({ type: 'mine.Pooling', path: '1' }) },
      'UNSUPPORTED_OPTION',
      ["'mine.Pooling'"],
    ],
    ...['../outside', '/etc', '1_Pooling/../..', '..\\outside', 'C:', ''].map(
      (path): [string, Readonly<Record<string, string>>, string, readonly string[]] => [
        `path '${path}'`,
        { 'modules.json': modules({ ...pooling, path }) },
        'INVALID_CHECKPOINT',
        [`'${path}'`, 'modules.json', 'no folder inside'],
      ],
    ),
  ])('is refused: %s', async (_, files, code, parts) => {
    const error = await rejection(read({ 'modules.json': all, ...files }));
    expect(error.code).toBe(code);
    for (const part of parts) expect(error.message).toContain(part);
  });

  it('does not matter where pooling is given', async () => {
    using folder = sentenceFolder('bert', { 'modules.json': modulesJson('Transformer', 'Pooling', 'Dense') });
    expect((await rejection(pipeline('sentence-similarity', folder.path))).code).toBe('UNSUPPORTED_OPTION');
    expect(await similarities(folder.path, { pooling: 'cls' })).toEqual(near(await cosines(folder.path, 'cls')));
  });
});
