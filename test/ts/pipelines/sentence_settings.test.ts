import { join } from 'node:path';
import { type FeatureExtractionOptions, pipeline } from '../../../ts';
import { rejection } from '../failure';
import { modulesJson, poolingJson, sentenceFolder } from './sentence_folder';

const texts = ['The earth was light.', 'God, who was tired', 'the light'];
const prompts = { query: 'light of the ', other: 'god: ' };

/** Files of sentence-transformers with this pooling. */
function files(pooling: string, { include = true, normalize = true, transformer = {}, config = {} } = {}) {
  const modules = ['Transformer', 'Pooling', ...(normalize ? ['Normalize'] : [])];
  const pooled = { ...JSON.parse(poolingJson(pooling)), include_prompt: include };
  return {
    'modules.json': modulesJson(...modules),
    '1_Pooling/config.json': JSON.stringify(pooled),
    'sentence_bert_config.json': JSON.stringify(transformer),
    'config_sentence_transformers.json': JSON.stringify(config),
  };
}

/** What `encode` of SentenceTransformer (sentence-transformers 6.2.0, transformers 5.5.4) gives: the first four numbers of each text's vector. */
describe("pooling 'auto' is what sentence-transformers encodes", () => {
  const query = { prompt_name: 'query' };
  const half = { transformer: { max_seq_length: 5 }, config: { prompts }, include: false, normalize: false };
  const lower = { transformer: { max_seq_length: null, do_lower_case: true } };
  const bare = { normalize: false, config: { prompts } };
  const onlyPrompt = [-0.90941, 0.93334, 1.14907, 0.23631];
  const byDefault = { config: { prompts, default_prompt_name: 'other' } };
  it.each<[string, string, object, FeatureExtractionOptions, readonly (readonly number[])[]]>([
    [
      'bert',
      'mean_tokens',
      bare,
      query,
      [
        [-0.58887, 0.43159, 0.29663, 0.25558],
        [-1.12551, 0.45034, 0.42419, 0.2201],
        [-0.21591, 0.44349, 0.44988, 0.33924],
      ],
    ],
    [
      'bert',
      'mean_tokens',
      { ...bare, include: false },
      query,
      [
        [-0.58015, 0.42264, 0.21839, 0.22822],
        [-1.06109, 0.42227, 0.39079, 0.21391],
        [-0.11073, 0.48123, 0.45022, 0.28738],
      ],
    ],
    [
      'bert',
      'cls_token',
      bare,
      query,
      [
        [-0.58904, 0.01693, -0.13036, 0.38715],
        [-1.19341, 0.15325, -0.07839, 0.32341],
        [-0.31789, 0.10476, -0.1675, 0.46408],
      ],
    ],
    [
      'bert',
      'cls_token',
      { ...bare, include: false },
      query,
      [
        [-0.55034, 0.41365, 0.26272, 0.11452],
        [-1.263, 0.38956, 0.46719, 0.16347],
        [-0.21537, 0.40011, 0.22679, 0.16163],
      ],
    ],
    [
      'bert',
      'lasttoken',
      { ...bare, include: false },
      query,
      [
        [-1.50542, 0.42016, -0.26519, 0.27018],
        [-1.78123, 0.46566, 0.21412, 0.16089],
        [-1.08637, 0.67646, 0.28927, 0.30382],
      ],
    ],
    // Only the end token is left of the texts.
    ['bert', 'mean_tokens', half, query, [onlyPrompt, onlyPrompt, onlyPrompt]],
    ['bert', 'cls_token', half, query, [onlyPrompt, onlyPrompt, onlyPrompt]],
    [
      'bert',
      'mean_tokens',
      byDefault,
      {},
      [
        [-0.20867, 0.04842, 0.10384, 0.06714],
        [-0.35044, 0.08383, 0.15621, 0.02427],
        [-0.3368, 0.03037, 0.09037, 0.04604],
      ],
    ],
    [
      'bert',
      'mean_tokens',
      byDefault,
      { prompt: '' },
      [
        [-0.24001, 0.14116, 0.11106, 0.04299],
        [-0.25687, 0.0701, 0.14512, 0.05718],
        [-0.18809, 0.09776, 0.10802, 0.07203],
      ],
    ],
    [
      'bert',
      'mean_tokens',
      byDefault,
      { prompt: 'earth, ' },
      [
        [-0.20407, 0.05422, 0.05981, 0.07162],
        [-0.35547, 0.08163, 0.1458, 0.02671],
        [-0.39688, 0.04741, 0.07393, 0.0388],
      ],
    ],
    [
      'bert',
      'mean_tokens',
      { transformer: { max_seq_length: 4 } },
      {},
      [
        [-0.10984, 0.14558, 0.09379, 0.06397],
        [-0.28793, 0.15846, 0.10632, 0.02235],
        [-0.18809, 0.09776, 0.10802, 0.07203],
      ],
    ],
    [
      'llama-chat',
      'mean_tokens',
      lower,
      {},
      [
        [-0.1709, 0.06006, -0.05347, 0.15039],
        [0.20215, 0.12305, 0.06152, 0.01587],
        [-0.04736, -0.06445, 0.05493, 0.03442],
      ],
    ],
    [
      'llama-chat',
      'lasttoken',
      { ...lower, config: { prompts } },
      query,
      [
        [-0.25977, -0.15137, -0.02917, -0.24512],
        [-0.06543, 0.07715, 0.09229, -0.25],
        [-0.21875, -0.20312, 0.10449, -0.17676],
      ],
    ],
    [
      'llama-chat',
      'mean_tokens',
      { ...lower, include: false, config: { prompts } },
      query,
      [
        [-0.38086, -0.21191, -0.0542, -0.18457],
        [-0.11719, 0.04346, -0.04224, -0.21777],
        [-0.13281, -0.38672, 0.01343, -0.25781],
      ],
    ],
  ])('%s %s %j %j', async (model, pooling, said, options, expected) => {
    using folder = sentenceFolder(model, files(pooling, said));
    await using extract = await pipeline('feature-extraction', folder.path);
    const vectors = await extract(texts, { ...options, pooling: 'auto' });
    // Python's are bfloat16 where the checkpoint is.
    const digits = model === 'bert' ? 4 : 2;
    for (const [index, row] of expected.entries())
      for (const [at, value] of row.entries()) expect(vectors[index]?.[at]).toBeCloseTo(value, digits - 0.3);
    // The same where pipeline() is told.
    await using told = await pipeline('feature-extraction', folder.path, { ...options, pooling: 'auto' });
    expect(await told(texts)).toEqual(vectors);
    expect(await told(texts[1] ?? '')).toEqual(vectors[1]);
    // And of sentence similarity, whose vectors are 1 long.
    await using similarity = await pipeline('sentence-similarity', folder.path, options);
    const [source_sentence = '', ...sentences] = texts;
    const cosines = await similarity({ source_sentence, sentences });
    const [first = [], ...others] = await told(texts, { normalize: true });
    const dot = (other: readonly number[]) => other.reduce((sum, value, at) => sum + value * (first[at] ?? 0), 0);
    expect(cosines).toEqual(others.map((other) => expect.closeTo(dot(other), 6)));
  });
});

describe('prompts', () => {
  const config = { prompts, default_prompt_name: 'other' };

  it('by name are there without pooling, too, but none by default; a call has the last word', async () => {
    using folder = sentenceFolder('bert', files('cls_token', { config }));
    await using extract = await pipeline('feature-extraction', folder.path);
    const [text = ''] = texts;
    const pooling = 'mean';
    const prompted = await extract(`god: ${text}`, { pooling });
    expect(await extract(text, { pooling })).not.toEqual(prompted);
    expect(await extract(text, { pooling, prompt_name: 'other' })).toEqual(prompted);
    expect(await extract(text, { pooling, prompt: 'god: ' })).toEqual(prompted);
    expect(await extract(text, { prompt_name: 'other' })).toEqual(await extract(`god: ${text}`));
    await using named = await pipeline('feature-extraction', folder.path, { pooling, prompt_name: 'query' });
    expect(await named(text)).toEqual(await extract(text, { pooling, prompt: prompts.query }));
    expect(await named(text, { prompt: 'god: ' })).toEqual(prompted);
    expect(await named(text, { prompt_name: 'document' })).toEqual(await extract(text, { pooling }));
  });

  it('query and document are empty where no file says otherwise', async () => {
    const bert = join(__dirname, '..', '..', 'fixtures', 'models', 'bert');
    await using extract = await pipeline('feature-extraction', bert, { pooling: 'auto' });
    const plain = await extract(texts);
    expect(await extract(texts, { prompt_name: 'query' })).toEqual(plain);
    expect(await extract(texts, { pooling: 'mean', normalize: true })).toEqual(plain);
    expect(await extract(texts, { normalize: false })).toEqual(
      await extract(texts, { pooling: 'mean', normalize: false }),
    );
  });

  it.each<[object, string, readonly string[]]>([
    [{ prompt_name: 'qery' }, 'INVALID_ARGUMENT', ["'qery'", 'query, document, other', "'prompt'"]],
    [{ prompt_name: 3 }, 'INVALID_ARGUMENT', ["'prompt_name'"]],
    [{ prompt: 3 }, 'INVALID_ARGUMENT', ["'prompt'", 'a text']],
    [{ prompt: 'a', prompt_name: 'query' }, 'INVALID_ARGUMENT', ['exclude one another']],
    [{ promptName: 'query' }, 'UNKNOWN_OPTION', ["'prompt_name'"]],
    [{ pooling: 'max' }, 'INVALID_ARGUMENT', ['last, auto']],
  ])('%j is refused', async (options, code, parts) => {
    using folder = sentenceFolder('bert', files('cls_token', { config }));
    await using extract = await pipeline('feature-extraction', folder.path);
    const error = await rejection(extract(texts, options));
    expect(error.code).toBe(code);
    for (const part of parts) expect(error.message).toContain(part);
  });

  it.each<[object, string]>([
    [{ prompts: ['query: '] }, "'prompts' must be texts by their names"],
    [{ prompts: { query: 3 } }, "the prompt 'query' must be a text"],
    [
      { prompts, default_prompt_name: 'qery' },
      "'default_prompt_name' is 'qery', but must be one of query, document, other",
    ],
  ])('of a file %j are refused', async (broken, part) => {
    using folder = sentenceFolder('bert', files('cls_token', { config: broken }));
    const error = await rejection(pipeline('sentence-similarity', folder.path));
    expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining(part)]);
    expect(error.message).toContain('config_sentence_transformers.json');
  });
});
