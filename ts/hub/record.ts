/**
 * Whether a value of unknown origin is an object with keys. Not `instanceof`: errors of Node's own modules, and JSON read by
 * them, may come from another realm (worker contexts, test runners).
 */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
