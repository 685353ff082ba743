import type { WeightStatistics } from './weight_statistics';

/** A parameter of a model and the numbers in it. */
export interface WeightSummary extends WeightStatistics {
  /** The path of its module and its name there, such as `model.layers.0.mlp.down_proj.weight`. */
  readonly name: string;
  /** As layers multiply it: `[out_features, in_features]`, stacked where a tensor holds several matrices, or `[length]`. */
  readonly shape: readonly number[];
  /** How the checkpoint stores it, such as `BF16`. */
  readonly dtype: string;
  /** How it is kept, such as `int8`: the numbers are those that it stands for. */
  readonly form: string;
}

export interface WeightsData {
  readonly weights: readonly WeightSummary[];
}
