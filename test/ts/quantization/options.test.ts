import { join } from 'node:path';
import { AutoModelForCausalLM, type LoadOptions } from '../../../ts';
import { readCacheForm, readQuantization, readStoredQuantization } from '../../../ts/quantization/int8_options';
import { failure, rejection } from '../failure';

const folder = join(__dirname, '..', '..', 'fixtures', 'models', 'llama');
const read = (options: object) => readQuantization('from_pretrained()', options);

const int8 = { activations: 'zeropoint', threshold: 6, threshold_unit: 'row-rms' };
const vocabulary = { ...int8, threshold: 2.5, wide_features: 8 }; // int8Tables

describe('what the options mean', () => {
  it.each([
    [{}, undefined],
    [{ quantization: 'none' }, 'none'],
    [{ quantization_config: { load_in_8bit: false } }, 'none'],
    [{ quantization: 'llm.int8' }, { settings: { threshold: 6 } }],
    [{ quantization: 'int8' }, { settings: int8, embeddings: true, vocabulary }],
    [{ quantization: { scheme: 'int8', embeddings: false } }, { settings: int8, vocabulary }],
    [
      { quantization: { scheme: 'int8', skipModules: ['lm_head'] } },
      { settings: int8, skipModules: ['lm_head'], vocabulary },
    ],
    [
      { quantization: { scheme: 'int8', threshold: 4, outliers: 'column' } },
      {
        settings: { ...int8, threshold: 4, outliers: 'column' },
        embeddings: true,
        vocabulary: { ...int8, threshold: 4, outliers: 'column', wide_features: 8 },
      },
    ],
    [{ quantization: 'int8-weight-only' }, { settings: { weight_only: true, group_size: 32 } }],
    [
      { quantization: { scheme: 'int8-weight-only', groupSize: 0 } },
      { settings: { weight_only: true, group_size: 0 } },
    ],
    [{ quantization: 'vector-wise' }, { settings: {} }],
    [{ quantization: { scheme: 'vector-wise', kvCache: 'int8' } }, { settings: {}, cacheForm: 'int8' }],
    [{ quantization: { scheme: 'none', kvCache: 'int8' } }, 'none'],
    [{ quantization: { kvCache: 'int8' } }, undefined],
    [{ quantization: { scheme: 'row-wise', threshold: 6 } }, { settings: { weight_scales: 'tensor', threshold: 6 } }],
    [
      { quantization: { scheme: 'llm.int8', outliers: 'column', outlierWeights: 'float32', embeddings: true } },
      { settings: { threshold: 6, outliers: 'column', float_outlier_weights: true }, embeddings: true },
    ],
    [{ quantization_config: { load_in_8bit: true } }, { settings: { threshold: 6 } }],
    [
      { quantization_config: { load_in_8bit: true, llm_int8_threshold: 0, llm_int8_skip_modules: ['lm_head'] } },
      { settings: { threshold: 0 }, skipModules: ['lm_head'] },
    ],
  ])('%j', (options, expected) => {
    const plan =
      typeof expected === 'object'
        ? { skipModules: [], embeddings: false, vocabulary: expected.settings, outlierFeatures: 'stored', ...expected }
        : expected;
    const found = read(options);
    const { options: kept, ...rest } = typeof found === 'object' ? found : { options: undefined };
    expect(typeof found === 'object' ? rest : found).toEqual(plan);
    if (typeof found === 'object') expect(readStoredQuantization('again', kept)).toEqual(found);
  });
});

it('beside weights, options without embeddings are of a time when tables were float', () => {
  expect(readStoredQuantization('a file', { scheme: 'int8' })).toMatchObject({ embeddings: false });
  expect(readStoredQuantization('a file', { scheme: 'int8', embeddings: true })).toMatchObject({ embeddings: true });
});

describe('the form of the cache', () => {
  const form = (quantization: unknown) => readCacheForm('from_pretrained()', { quantization });

  it.each([
    [undefined, undefined],
    ['int8', undefined],
    [{ scheme: 'int8' }, undefined],
    [{ scheme: 'int8', kvCache: 'bfloat16' }, 'bfloat16'],
    [{ scheme: 'none', kvCache: 'int8' }, 'int8'],
    [{ kvCache: true }, 'int8'],
    [{ kvCache: false }, 'float32'],
  ])('%j is %s', (quantization, expected) => {
    expect(form(quantization)).toBe(expected);
  });

  it.each(['int4', 8, null])('%j is refused', (kvCache) => {
    const error = failure(() => form({ scheme: 'int8', kvCache }));
    expect([error.code, error.message]).toEqual([
      'INVALID_ARGUMENT',
      expect.stringContaining('float32, bfloat16, int8'),
    ]);
  });
});

describe('what is refused', () => {
  it.each([
    [{ quantization: 'llm.int4' }, 'UNKNOWN_OPTION', "'llm.int8'"],
    [{ quantization: 'gptq' }, 'UNKNOWN_OPTION', 'int8-weight-only'],
    [{ quantization: 8 }, 'INVALID_ARGUMENT', '8'],
    [{ quantization: {} }, 'UNKNOWN_OPTION', 'undefined'],
    [{ quantization: { scheme: 'int8', treshold: 3 } }, 'UNKNOWN_OPTION', "'threshold'"],
    [{ quantization: { scheme: 'int8', threshold: -1 } }, 'INVALID_ARGUMENT', 'threshold'],
    [{ quantization: { scheme: 'int8', threshold: Number.NaN } }, 'INVALID_ARGUMENT', 'threshold'],
    [{ quantization: { scheme: 'int8', outliers: 'row' } }, 'INVALID_ARGUMENT', 'column'],
    [{ quantization: { scheme: 'int8', outlierWeights: 'bfloat16' } }, 'INVALID_ARGUMENT', 'float32'],
    [{ quantization: { scheme: 'int8', skipModules: 'lm_head' } }, 'INVALID_ARGUMENT', 'skipModules'],
    [{ quantization: { scheme: 'int8', embeddings: 1 } }, 'INVALID_ARGUMENT', 'embeddings'],
    [{ quantization: { scheme: 'none', threshold: 6 } }, 'INVALID_ARGUMENT', "'threshold'"],
    [{ quantization: { kvCache: 'int8', embeddings: true } }, 'INVALID_ARGUMENT', "'embeddings'"],
    [{ quantization: { scheme: 'int8-weight-only', threshold: 6 } }, 'INVALID_ARGUMENT', 'threshold'],
    [{ quantization: { scheme: 'int8', groupSize: 64 } }, 'INVALID_ARGUMENT', 'int8-weight-only'],
    [{ quantization: { scheme: 'int8-weight-only', groupSize: 6 } }, 'INVALID_ARGUMENT', 'multiple of 4, not 6'],
    [{ quantization: { scheme: 'int8-weight-only', groupSize: -4 } }, 'INVALID_ARGUMENT', 'groupSize'],
    [{ quantization: 'int8', quantization_config: { load_in_8bit: true } }, 'INVALID_ARGUMENT', 'one of them'],
    [{ quantization_config: { load_in_4bit: true } }, 'UNSUPPORTED_OPTION', 'load_in_4bit'],
    [{ quantization_config: { load_in_8bits: true } }, 'UNKNOWN_OPTION', "'load_in_8bit'"],
    [{ quantization_config: { load_in_8bit: 'yes' } }, 'INVALID_ARGUMENT', 'load_in_8bit'],
    [{ quantization_config: { quant_method: 'gptq' } }, 'UNSUPPORTED_OPTION', 'gptq'],
    [{ quantization_config: { quant_method: 'awq', bits: 4, group_size: 128 } }, 'UNSUPPORTED_OPTION', 'awq'],
    [{ quantization_config: { load_in_8bit: true, llm_int8_threshold: '6' } }, 'INVALID_ARGUMENT', 'threshold'],
  ])('%j', (options, code, part) => {
    const error = failure(() => read(options));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });

  it('names of modules that the model does not have', async () => {
    const quantization: LoadOptions['quantization'] = { scheme: 'int8', skipModules: ['down_pro'] };
    const error = await rejection(AutoModelForCausalLM.from_pretrained(folder, { quantization }));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining("'down_proj'")]);
  });
});
