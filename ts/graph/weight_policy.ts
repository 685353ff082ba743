import type { CacheForm, WeightDescription } from './program';

/**
 * What a matrix is there for. `layer`: a linear layer. `vocabulary`: a table of tokens, or the projection onto them. `float`: what is never
 * quantized (tables of positions, heads that give labels).
 */
export type WeightPlace = 'layer' | 'vocabulary' | 'float';

/** What a checkpoint has a matrix in: int8 with scales, float16 or bfloat16, or numbers that are read as float32. */
export type StoredNumbers = 'int8' | '16-bit' | 'float';

/** How a matrix is kept and multiplied. */
export type WeightKeeping = Pick<WeightDescription, 'form' | 'compute' | 'int8'>;

/** Decides how each matrix of a model is kept, and its cache. */
export interface WeightPolicy {
  /** Of keys and values, `float32` when left out. `int8`: only of those of causal and cross attention, which outlive a run. */
  readonly cacheForm?: CacheForm;
  /**
   * @param module the full path of the module that the matrix belongs to
   */
  keeping(module: string, place: WeightPlace, stored: StoredNumbers): WeightKeeping;
}
