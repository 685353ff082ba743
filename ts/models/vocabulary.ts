/** What an architecture of your own is written with (`nn`): the modules, and random weights to try it. */
export * from '../modules';
export { type InitOptions, init, parameters } from './init';
