/** node-gyp-build comes without types: given the package's folder it loads `build/Release/*.node` or the fitting prebuild. */
declare module 'node-gyp-build' {
  function load(directory: string): unknown;
  export = load;
}
