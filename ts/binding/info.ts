import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { callNative, nativeAddon } from './load';
import type { NativeInfo } from './native';
import { packageFolder } from './package_folder';

/** What runs where. */
export interface Info extends NativeInfo {
  /** The package's version. */
  readonly version: string;
}

/** The package's version. */
export function packageVersion(): string {
  const manifest = readFileSync(join(packageFolder(), 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** The package's version, the CPU with the instruction sets that can be used, the default number of threads, and CUDA. */
export function info(): Info {
  return { version: packageVersion(), ...callNative(() => nativeAddon().info()) };
}
