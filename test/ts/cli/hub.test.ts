import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FakeHub } from '../hub/fake_hub';
import { fixture, runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const folder = fixture('models', 'llama-chat');
let hub: FakeHub;
let home: string;
let online: Record<string, string>;

beforeEach(async () => {
  hub = new FakeHub();
  for (const name of readdirSync(folder)) {
    hub.add(name, readFileSync(path.join(folder, name)), name.endsWith('.safetensors'));
  }
  await hub.start();
  home = mkdtempSync(path.join(tmpdir(), 'octoformer-cli-'));
  online = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '0' };
});

afterEach(async () => {
  await hub.stop();
  rmSync(home, { recursive: true, force: true });
});

function generate(model: string, environment: Record<string, string>) {
  return runCli(['generate', '-m', model, '--temperature', '0', '--max-new-tokens', '12', 'Hello'], { environment });
}

test('a hub id is downloaded, generates what its files generate, and is there offline afterwards', async () => {
  const local = await generate(folder, {});
  expect(local.status).toBe(0);
  expect(await generate(hub.id, online)).toEqual(local); // no progress in a pipe either
  expect(hub.contentRequests.map((request) => request.path)).toEqual(['/model.safetensors']);
  hub.forgetRequests();
  expect(await generate(hub.id, { ...online, HF_HUB_OFFLINE: '1' })).toEqual(local);
  expect(hub.hubRequests).toEqual([]);
});

test('two processes at once fetch the weights once', async () => {
  const [first, second] = await Promise.all([generate(hub.id, online), generate(hub.id, online)]);
  expect(first?.status).toBe(0);
  expect(second).toEqual(first);
  expect(hub.contentRequests).toHaveLength(1);
});

test('a model that the hub does not have', async () => {
  const { status, stdout, stderr } = await generate('owner/other', online);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^error: .*'owner\/other'.*\[NOT_FOUND\]\n$/);
});
