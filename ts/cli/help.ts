import type { Command, OptionDescriptions } from './command';
import { table } from './terminal';

/** Options that every command takes. */
export const COMMON_OPTIONS: OptionDescriptions = {
  help: { kind: 'flag', short: 'h', help: 'show this help' },
};

export function generalHelp(commands: readonly Command[]): string {
  return [
    'Usage: octoformer <command> [options]',
    '',
    'Runs transformer models from Hugging Face checkpoints (safetensors) and GGUF files.',
    '',
    'Commands:',
    indent(table(commands.map(({ name, operands, summary }) => [`${name} ${operands}`.trim(), summary]))),
    '',
    'Options:',
    indent(
      table([
        ['-h, --help', 'show this help, or that of a command'],
        ['    --version', 'show the version'],
      ]),
    ),
    '',
    "'octoformer <command> --help' shows a command's options. SOURCE is a folder, a .gguf file, or a hub id such as",
    'HuggingFaceTB/SmolLM2-135M-Instruct, which is downloaded into the Hugging Face cache.',
    '',
  ].join('\n');
}

export function commandHelp(command: Command): string {
  return [
    `Usage: octoformer ${command.name} ${command.operands}`.trimEnd().concat(' [options]'),
    '',
    command.description,
    '',
    'Options:',
    indent(optionTable({ ...command.options, ...COMMON_OPTIONS })),
    '',
    'Examples:',
    indent(command.examples.join('\n')),
    '',
  ].join('\n');
}

function optionTable(options: OptionDescriptions): string {
  return table(
    Object.entries(options).map(([name, { short, placeholder, help }]) => [
      `${short ? `-${short}, ` : '    '}--${name}${placeholder ? ` ${placeholder}` : ''}`,
      help,
    ]),
  );
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}
