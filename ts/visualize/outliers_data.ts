/** An input feature of a linear layer that was large for some token. */
export interface OutlierFeature {
  readonly feature: number;
  /** Token rows in which it was at least the threshold. */
  readonly count: number;
  /** The largest magnitude that it had. */
  readonly largest: number;
}

/** What a linear layer read. */
export interface LayerOutliers {
  /** Its path, such as `model.layers.0.mlp.down_proj`. Layers that read the same have the same numbers. */
  readonly module: string;
  /** Token rows that it read. */
  readonly rows: number;
  /** Input features that it has. */
  readonly features: number;
  /** Those that were outliers, in their order. */
  readonly outliers: readonly OutlierFeature[];
  /** Of all entries (rows times features) those that were outliers: what LLM.int8() would multiply in float. */
  readonly share: number;
  /** The largest magnitude of all entries; NaN where one was no number. */
  readonly largest: number;
}

export interface OutliersData {
  readonly threshold: number;
  /** Tokens of the text that were read. */
  readonly tokens: number;
  readonly layers: readonly LayerOutliers[];
}
