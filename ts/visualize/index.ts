/** What is inside: how texts are cut, what tokens attend to, what weights are like, and where activations are large. */
export { type AttentionOptions, attention } from './attention';
export type { AttentionChoice, AttentionData, AttentionPart, AttentionPartName } from './attention_data';
export type { Histogram } from './histogram';
export { type LayerOutliers, type OutlierFeature, type OutliersData, type OutliersOptions, outliers } from './outliers';
export type { PooledGrid } from './pooling';
export type { VisualToken } from './token';
export { type TokensData, type TokensOptions, tokens } from './tokens';
export type { Visualization } from './visualization';
export { type WeightSummary, type WeightsData, type WeightsOptions, weights } from './weights';
