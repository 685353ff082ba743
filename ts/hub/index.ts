export { type ModelFiles, type ResolveOptions, type ResolveProgress, resolveModelFiles } from './resolve';
export { hubCacheFolder } from './settings';
