import { OctoformerError } from '../../ts/binding/error';

/** The OctoformerError that a call throws; anything else, or nothing, fails the test. */
export function failure(call: () => unknown): OctoformerError {
  try {
    call();
  } catch (error) {
    if (OctoformerError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** The same of a promise. */
export async function rejection(promise: Promise<unknown>): Promise<OctoformerError> {
  try {
    await promise;
  } catch (error) {
    if (OctoformerError.is(error)) return error;
    throw error;
  }
  throw new Error('the promise was fulfilled');
}
