#!/usr/bin/env node
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { main, root, runOrFail } from './process.mjs';

// prebuildify starts this as `node-gyp rebuild --target=V --devdir=D --arch=A --release` and takes what then lies in build/Release.
// The build has its own folder, so that nothing of a developer's build/ (tests, other options) gets in.
await main(async () => {
  const architecture = process.argv.find((word) => word.startsWith('--arch='))?.slice('--arch='.length) ?? process.arch;
  const cmakeJs = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js');
  const folder = 'build-prebuild';
  runOrFail(
    'cmake-js',
    process.execPath,
    [cmakeJs, 'build', '--out', folder, '--arch', architecture, '--target', 'octoformer'],
    { show: true },
  );
  mkdirSync(join(root, 'build', 'Release'), { recursive: true });
  copyFileSync(join(root, folder, 'Release', 'octoformer.node'), join(root, 'build', 'Release', 'octoformer.node'));
});
