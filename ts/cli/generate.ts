import { pipeline } from '../pipelines/pipeline';
import type { Prompt } from '../pipelines/prompt';
import type { Tokenizer } from '../tokenization';
import { type Command, type ParsedArguments, UsageError } from './command';
import { GENERATION_OPTIONS, generationOptions } from './generation_options';
import { Interrupt } from './interrupt';
import { CACHE_OPTIONS, loadOptions, MODEL_OPTIONS } from './model_options';
import { ProgressBar } from './progress';
import { describeSpeed, speedReport } from './statistics';
import type { Terminal } from './terminal';

export const generate: Command = {
  name: 'generate',
  operands: '[PROMPT]',
  summary: 'continue or answer a text, as it comes',
  description:
    'Continues PROMPT, or what comes on standard input. With a chat model PROMPT is a message that is answered, unless --raw is given.',
  options: {
    ...MODEL_OPTIONS,
    ...CACHE_OPTIONS,
    ...GENERATION_OPTIONS,
    raw: { kind: 'flag', help: 'continue the text as it stands, without the chat template' },
    chat: { kind: 'flag', help: 'answer the text as a message; fails where the model has no chat template' },
  },
  examples: [
    "octoformer generate --model HuggingFaceTB/SmolLM2-135M-Instruct 'Why is the sky blue?' --max-new-tokens 100",
    'octoformer generate -m ./my-model --raw --temperature 0 < prompt.txt > answer.txt',
  ],
  run: runGenerate,
};

async function runGenerate(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  if (given.flag('raw') && given.flag('chat')) throw new UsageError('--raw and --chat exclude one another');
  if (given.flag('raw') && given.text('system') !== undefined) {
    throw new UsageError('--system needs the chat template, which --raw leaves out');
  }
  const text = await promptText(given, terminal);
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const progress = new ProgressBar(terminal);
  const generator = await pipeline('text-generation', source, {
    ...loadOptions(given),
    onProgress: progress.update,
    signal,
  }).finally(() => progress.clear());
  try {
    const stream = generator.stream(choosePrompt(text, given, generator.tokenizer), {
      ...generationOptions(given),
      signal,
    });
    let answer = '';
    try {
      for await (const piece of stream) {
        answer += piece;
        if (!given.flag('json')) await terminal.writeGenerated(piece);
      }
    } finally {
      if (!given.flag('json') && answer !== '') await terminal.line();
    }
    const speed = given.flag('stats') && stream.statistics ? speedReport(stream.statistics) : undefined;
    if (given.flag('json')) {
      await terminal.json({
        generated_text: answer,
        finish_reason: stream.finishReason,
        ...(speed ? { stats: speed } : {}),
      });
    } else if (speed) {
      terminal.note(terminal.paintMessage('dim', describeSpeed(speed)));
    }
  } finally {
    await generator.dispose();
  }
}

async function promptText(given: ParsedArguments, terminal: Terminal): Promise<string> {
  if (given.operands.length > 0) return given.operands.join(' ');
  if (terminal.isInteractive) {
    throw new UsageError(
      "PROMPT is missing; give it as an argument or on standard input ('octoformer chat' for a talk)",
    );
  }
  return terminal.readInput();
}

function choosePrompt(text: string, given: ParsedArguments, tokenizer: Tokenizer): Prompt {
  const hasTemplate = tokenizer.chat_template !== null;
  const system = given.text('system');
  if (given.flag('raw') || (!hasTemplate && !given.flag('chat') && system === undefined)) return text;
  // Without a template the library says what is missing.
  return [...(system === undefined ? [] : [{ role: 'system', content: system }]), { role: 'user', content: text }];
}
