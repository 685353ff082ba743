import { OctoformerError } from '../../../ts/binding/error';
import { fromNative } from '../../../ts/binding/load';
import { checkChoice, checkNumber, checkOptions, closest } from '../../../ts/binding/options';

function failure(call: () => unknown): OctoformerError {
  try {
    call();
  } catch (error) {
    if (OctoformerError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('checkOptions', () => {
  const known = ['max_new_tokens', 'temperature'];

  it('accepts known names, nothing at all, and names whose value is undefined', () => {
    checkOptions('generate()', { max_new_tokens: 3 }, known);
    checkOptions('generate()', undefined, known);
    checkOptions('generate()', { nonsense: undefined }, known);
  });

  it('suggests the nearest name, whatever its spelling of words', () => {
    const error = failure(() => checkOptions('generate()', { maxNewTokens: 3 }, known));
    expect(error.code).toBe('UNKNOWN_OPTION');
    expect(error.message).toContain("did you mean 'max_new_tokens'?");
    expect(failure(() => checkOptions('generate()', { temprature: 1 }, known)).message).toContain("'temperature'");
  });

  it('lists what there is when nothing is near', () => {
    expect(failure(() => checkOptions('generate()', { quux: 1 }, known)).message).toContain(
      'max_new_tokens, temperature',
    );
  });

  it('tells an unsupported name from an unknown one, with the reason', () => {
    const error = failure(() => checkOptions('generate()', { num_beams: 4 }, known, { num_beams: 'no beam search' }));
    expect(error.code).toBe('UNSUPPORTED_OPTION');
    expect(error.message).toContain('num_beams');
    expect(error.message).toContain('no beam search');
  });

  it('refuses what is no object', () => {
    expect(failure(() => checkOptions('generate()', [1], known)).code).toBe('INVALID_ARGUMENT');
    expect(failure(() => checkOptions('generate()', null, known)).code).toBe('INVALID_ARGUMENT');
  });
});

describe('closest', () => {
  it('prefers the least distance and refuses far words', () => {
    expect(closest('cpus', ['cuda', 'cpu', 'auto'])).toBe('cpu');
    expect(closest('banana', ['cuda', 'cpu', 'auto'])).toBeUndefined();
    expect(closest('x', [])).toBeUndefined();
  });
});

describe('checkNumber and checkChoice', () => {
  it('give the value or name option, range and value', () => {
    expect(checkNumber('f()', 'n', 3, { least: 1, integer: true })).toBe(3);
    for (const bad of [0, 1.5, Number.NaN, '3', null]) {
      const error = failure(() => checkNumber('f()', 'n', bad, { least: 1, integer: true }));
      expect(error.code).toBe('INVALID_ARGUMENT');
      expect(error.message).toMatch(/option 'n' of f\(\) must be an integer of at least 1, not /);
    }
    expect(checkChoice('f()', 'device', 'cpu', ['auto', 'cpu'])).toBe('cpu');
    expect(failure(() => checkChoice('f()', 'device', 'cpuu', ['auto', 'cpu'])).message).toContain(
      "did you mean 'cpu'?",
    );
  });
});

describe('fromNative', () => {
  it('turns an error with a known code into an OctoformerError and leaves others alone', () => {
    const native = Object.assign(new Error('tensor x'), { code: 'MISSING_WEIGHT' });
    const error = fromNative(native);
    expect(OctoformerError.is(error) && error.code).toBe('MISSING_WEIGHT');
    expect((error as Error).message).toBe('tensor x');
    const other = Object.assign(new Error('no file'), { code: 'ENOENT' });
    expect(fromNative(other)).toBe(other);
    expect(fromNative(undefined)).toBeUndefined();
  });
});
