/** What went wrong, for programs; the message tells people what and how to mend it. */
export type OctoformerErrorCode =
  | 'INVALID_ARGUMENT'
  | 'UNKNOWN_OPTION'
  | 'UNSUPPORTED_OPTION'
  | 'UNSUPPORTED_ARCHITECTURE'
  | 'INVALID_CHECKPOINT'
  | 'MISSING_WEIGHT'
  | 'SHAPE_MISMATCH'
  | 'INVALID_TOKENIZER'
  | 'NOT_FOUND'
  | 'NETWORK'
  | 'OFFLINE'
  | 'DEVICE_UNAVAILABLE'
  | 'OUT_OF_MEMORY'
  | 'CONTEXT_OVERFLOW'
  | 'ABORTED'
  | 'DISPOSED'
  | 'INTERNAL';

const marker = Symbol.for('octoformer.error');

/** The one error class of the package. `OctoformerError.is(e)` also works across realms and copies of the package. */
export class OctoformerError extends Error {
  override readonly name = 'OctoformerError';
  readonly code: OctoformerErrorCode;
  readonly [marker] = true;

  constructor(code: OctoformerErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  static is(value: unknown): value is OctoformerError {
    return typeof value === 'object' && value !== null && marker in value;
  }
}
