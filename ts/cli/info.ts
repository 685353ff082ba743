import { info as machineInfo } from '../binding/info';
import { hubCacheFolder } from '../hub';
import { architectureNames } from '../models/registry';
import { type Command, type ParsedArguments, UsageError } from './command';
import { type Terminal, table } from './terminal';

export const info: Command = {
  name: 'info',
  operands: '',
  summary: 'version, CPU, instruction sets, threads, CUDA, cache folder',
  description:
    'Tells what runs here: the version, the CPU with the instruction sets in use and available, threads, CUDA devices or why there are none.',
  options: { json: { kind: 'flag', help: 'print JSON' } },
  examples: ['octoformer info', 'octoformer info --json'],
  run: runInfo,
};

async function runInfo(given: ParsedArguments, terminal: Terminal): Promise<void> {
  if (given.operands.length > 0) throw new UsageError(`info takes no operand, but got '${given.operands[0]}'`);
  const machine = machineInfo();
  const facts = {
    ...machine,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cache: hubCacheFolder(terminal.environment),
    architectures: architectureNames(),
  };
  if (given.flag('json')) {
    await terminal.json(facts);
    return;
  }
  const { cuda } = machine;
  await terminal.line(
    table(
      [
        ['version', facts.version],
        ['node', `${facts.node} (${facts.platform})`],
        ['cpu', machine.cpu],
        ['isa', machine.isa],
        ['isas', machine.isas.join(' ')],
        ['threads', String(machine.threads)],
        ['cuda', cuda.available ? cuda.devices.join(', ') : `none: ${cuda.reason}`],
        ['cache', facts.cache],
        ['models', facts.architectures.join(' ')],
      ].map(([name = '', value = '']) => [terminal.paint('bold', name), value]),
    ),
  );
}
