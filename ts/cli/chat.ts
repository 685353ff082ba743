import { createInterface } from 'node:readline';
import type { ChatSession } from '../pipelines/chat_session';
import { pipeline } from '../pipelines/pipeline';
import { type Command, type ParsedArguments, UsageError } from './command';
import { GENERATION_OPTIONS, generationOptions } from './generation_options';
import { Interrupt, isAborted } from './interrupt';
import { CACHE_OPTIONS, defined, loadOptions, MODEL_OPTIONS } from './model_options';
import { ProgressBar } from './progress';
import { describeSpeed, speedReport } from './statistics';
import type { Terminal } from './terminal';

export const chat: Command = {
  name: 'chat',
  operands: '',
  summary: 'talk with a chat model',
  description:
    'Answers one message a line. The conversation stays in the model’s cache, so that a new message does not read it again.\n' +
    '/reset forgets the conversation, /exit (or the end of the input) leaves; Ctrl-C stops an answer.',
  options: { ...MODEL_OPTIONS, ...CACHE_OPTIONS, ...GENERATION_OPTIONS },
  examples: [
    "octoformer chat --model HuggingFaceTB/SmolLM2-135M-Instruct --system 'You answer in one sentence.'",
    'octoformer chat -m ./my-model --json < messages.txt',
  ],
  run: runChat,
};

async function runChat(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const source = given.required('model');
  if (given.operands.length > 0) throw new UsageError(`chat takes no operand, but got '${given.operands[0]}'`);
  using interrupt = new Interrupt();
  const progress = new ProgressBar(terminal);
  const generator = await pipeline('text-generation', source, {
    ...loadOptions(given),
    onProgress: progress.update,
    signal: interrupt.signal,
  }).finally(() => progress.clear());
  try {
    using session = generator.chat(defined({ system: given.text('system') }));
    await talk(session, given, terminal, interrupt);
  } finally {
    await generator.dispose();
  }
}

async function talk(
  session: ChatSession,
  given: ParsedArguments,
  terminal: Terminal,
  interrupt: Interrupt,
): Promise<void> {
  const isInteractive = terminal.isInteractive;
  const lines = createInterface({
    input: terminal.input,
    terminal: isInteractive,
    ...(isInteractive ? { output: terminal.messages } : {}),
  });
  lines.setPrompt(terminal.paintMessage('cyan', '> '));
  // On a terminal readline takes Ctrl-C as a key: it stops an answer, and leaves when there is none.
  let isAnswering = false;
  lines.on('SIGINT', () => (isAnswering ? interrupt.raise() : lines.close()));
  // In a script Ctrl-C ends the input as well, which may be a pipe that says nothing for long.
  const endInput = () => lines.close();
  if (!isInteractive) process.once('SIGINT', endInput);
  if (isInteractive) lines.prompt();
  for await (const line of lines) {
    const message = line.trim();
    if (message === '/exit') break;
    if (message === '/reset') {
      session.reset();
    } else if (message !== '') {
      isAnswering = true;
      await answer(session, message, given, terminal, interrupt.renew());
      isAnswering = false;
    }
    if (isInteractive) lines.prompt();
  }
  lines.close();
  if (isInteractive) terminal.note('');
  process.off('SIGINT', endInput);
  if (!isInteractive) interrupt.signal.throwIfAborted();
}

async function answer(
  session: ChatSession,
  message: string,
  given: ParsedArguments,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const stream = session.send(message, { ...generationOptions(given), signal });
  let text = '';
  try {
    for await (const piece of stream) {
      text += piece;
      if (!given.flag('json')) await terminal.writeGenerated(piece);
    }
  } catch (error) {
    // A person at the keyboard stopped this answer, and goes on; a script that was interrupted ends.
    if (!terminal.isInteractive || !isAborted(error)) throw error;
  }
  const speed = given.flag('stats') && stream.statistics ? speedReport(stream.statistics) : undefined;
  if (given.flag('json')) {
    await terminal.json({
      role: 'assistant',
      content: text,
      finish_reason: stream.finishReason ?? null,
      ...(speed ? { stats: speed } : {}),
    });
    return;
  }
  await terminal.line();
  if (speed) terminal.note(terminal.paintMessage('dim', describeSpeed(speed)));
}
