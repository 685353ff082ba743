import { join } from 'node:path';
import { main, root, runOrFail, ScriptError, step } from './process.mjs';
import { setupTypeScript } from './setup.mjs';

// npm run prebuild: an addon for this platform in prebuilds/<platform>-<arch>/, where node-gyp-build looks in an installed
// package. prebuildify does the naming; cmake-js does the building (cmake-js-as-node-gyp.mjs).
await main(async () => {
  if (process.platform === 'win32')
    throw new ScriptError('prebuilds are made on Linux and macOS; on Windows use npm run build:native');
  await setupTypeScript();
  await step(`building the prebuild for ${process.platform}-${process.arch} (its own folder, build-prebuild/)`, () => {
    const prebuildify = join(root, 'node_modules', 'prebuildify', 'bin.js');
    // Without the tag, a musl build would take the place of a glibc build.
    const libc = process.platform === 'linux' ? [`--tag-libc=${isGlibc() ? 'glibc' : 'musl'}`] : [];
    runOrFail('prebuildify', process.execPath, [prebuildify, '--napi', '--strip', ...libc], {
      env: { PREBUILD_NODE_GYP: join(root, 'scripts', 'cmake-js-as-node-gyp.mjs') },
    });
  });
});

function isGlibc() {
  return Boolean(process.report.getReport().header.glibcVersionRuntime);
}
