/** How good a model is, and how near one is to another. */
export { type Perplexity, type PerplexityOptions, type PerplexityProgress, perplexity } from './perplexity';
