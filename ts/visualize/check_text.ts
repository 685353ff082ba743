import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';

/** @throws OctoformerError INVALID_ARGUMENT unless it is a text */
export function checkText(where: string, text: unknown): asserts text is string {
  if (typeof text === 'string') return;
  throw new OctoformerError('INVALID_ARGUMENT', `${where}: text must be a string, not ${describeValue(text)}`);
}
