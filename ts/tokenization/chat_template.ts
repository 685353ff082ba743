import { OctoformerError } from '../binding/error';
import type { JsonPart } from './json_part';
import type { ChatTemplate } from './template_interpreter';

/** One turn of a conversation. What else a message may hold is up to the template (`tool_calls`, `name` ...). */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

/** Options of `apply_chat_template`. All other names become variables of the template, as in transformers (`enable_thinking` ...). */
export interface ChatTemplateOptions {
  /** false: the text instead of ids. */
  readonly tokenize?: boolean | undefined;
  /** Ends with the header of the answer that the model is to write. */
  readonly add_generation_prompt?: boolean | undefined;
  /** Leaves the last message open, so that the model goes on with it; a string names the field to go on with. */
  readonly continue_final_message?: boolean | string | undefined;
  /** JSON schemas of functions. */
  readonly tools?: readonly unknown[] | null | undefined;
  readonly documents?: readonly unknown[] | null | undefined;
  /** A template, or the name of one of the tokenizer's own. */
  readonly chat_template?: string | undefined;
  readonly [variable: string]: unknown;
}

type Message = Record<string, unknown>;

/** Names that a message's reasoning goes by; templates read the first, some the second. */
const REASONING_FIELDS = ['reasoning_content', 'thinking', 'reasoning'];
const CONTINUE_TAG = 'CONTINUE_FINAL_MESSAGE_TAG ';

function invalid(problem: string, cause?: unknown): OctoformerError {
  return new OctoformerError(
    'INVALID_ARGUMENT',
    `apply_chat_template: ${problem}`,
    cause === undefined ? {} : { cause },
  );
}

/** The chat templates of a tokenizer. */
export class ChatTemplates {
  private readonly templates = new Map<string, string>();
  private readonly compiled = new Map<string, ChatTemplate>();

  /**
   * `file` is the text of chat_template.jinja, `further` those of other such files by their names. Without any `part` counts, the `chat_template` of
   * tokenizer_config.json: a string or a list of `{name, template}`.
   */
  constructor(file: string | undefined, part: JsonPart, further: Readonly<Record<string, string>> = {}) {
    for (const [name, template] of Object.entries(further)) this.templates.set(name, template);
    if (file !== undefined) this.templates.set('default', file);
    if (this.templates.size > 0) return;
    if (typeof part.value === 'string') this.templates.set('default', part.value);
    else if (!part.isMissing && Array.isArray(part.value))
      for (const item of part.list()) this.templates.set(item.get('name').string(), item.get('template').string());
    else if (!part.isMissing)
      for (const name of Object.keys(part.object())) this.templates.set(name, part.get(name).string());
  }

  get default(): string | null {
    return this.templates.get('default') ?? null;
  }

  private choose(wanted: string | undefined, hasTools: boolean): string {
    if (wanted !== undefined) return this.templates.get(wanted) ?? wanted;
    const template = (hasTools ? this.templates.get('tool_use') : undefined) ?? this.templates.get('default');
    if (template !== undefined) return template;
    const names = [...this.templates.keys()];
    throw invalid(
      names.length === 0
        ? 'the tokenizer has no chat template; pass chat_template, or a plain string as the prompt'
        : `the tokenizer has no default chat template; pass chat_template, one of ${names.join(', ')}`,
    );
  }

  /** The text of a conversation. `special` are variables such as `bos_token`. */
  render(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
    special: Readonly<Record<string, unknown>>,
  ): string {
    const {
      tokenize: _,
      add_generation_prompt,
      continue_final_message,
      tools,
      documents,
      chat_template,
      ...variables
    } = options;
    if (!Array.isArray(messages) || messages.length === 0)
      throw invalid('messages has to be a list of at least one message');
    if (continue_final_message && add_generation_prompt)
      throw invalid('continue_final_message and add_generation_prompt exclude each other; leave one out');
    const source = this.choose(chat_template, tools !== undefined && tools !== null);
    const conversation = messages.map(plainMessage);
    const continued = continue_final_message ? tagFinalMessage(conversation, continue_final_message, source) : null;
    const text = this.run(source, {
      ...special,
      ...variables,
      messages: conversation,
      tools: tools ?? null,
      documents: documents ?? null,
      add_generation_prompt: add_generation_prompt ?? false,
    });
    return continued === null ? text : cutAtTag(text, continued);
  }

  private run(source: string, variables: Readonly<Record<string, unknown>>): string {
    try {
      let template = this.compiled.get(source);
      if (template === undefined) {
        const interpreter = require('./template_interpreter') as typeof import('./template_interpreter');
        template = new interpreter.ChatTemplate(source);
        this.compiled.set(source, template);
      }
      return template.render(variables);
    } catch (error) {
      throw invalid(`the chat template reports: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  }
}

/** A copy without keys whose value is null (templates handle a missing key better), with reasoning under the names that templates read. */
function plainMessage(message: unknown, index: number): Message {
  if (typeof message !== 'object' || message === null || Array.isArray(message))
    throw invalid(`message ${index} has to be an object with role and content`);
  const copy: Message = Object.fromEntries(
    Object.entries(message).filter(([, value]) => value !== null && value !== undefined),
  );
  const reasoning = REASONING_FIELDS.map((field) => copy[field]).find((value) => value !== undefined);
  return reasoning === undefined ? copy : { thinking: reasoning, ...copy, reasoning_content: reasoning };
}

/** Marks the end of the field to go on with, and gives the text that it had. */
function tagFinalMessage(conversation: Message[], wanted: boolean | string, source: string): string {
  const field = typeof wanted === 'string' ? wanted : 'content';
  const final = conversation.at(-1) as Message;
  const value = final[field];
  if (value === undefined) throw invalid(`continue_final_message needs a final message with "${field}"`);
  const fields = REASONING_FIELDS.includes(field) ? REASONING_FIELDS.filter((name) => final[name] === value) : [field];
  if (!fields.some((name) => source.includes(name)))
    throw invalid(`continue_final_message names "${field}", which the chat template does not use`);
  if (typeof value === 'string') {
    for (const name of fields) final[name] = value + CONTINUE_TAG;
    return value;
  }
  const blocks: unknown[] = Array.isArray(value) ? [...value] : [];
  const at = blocks.findLastIndex((block) => typeof (block as { text?: unknown } | null)?.text === 'string');
  if (at < 0) throw invalid('continue_final_message finds no text in the final message');
  const block = blocks[at] as { text: string };
  blocks[at] = { ...block, text: block.text + CONTINUE_TAG };
  final[field] = blocks;
  return block.text;
}

function cutAtTag(text: string, message: string): string {
  const at = text.lastIndexOf(CONTINUE_TAG.trim());
  if (at < 0 || !text.includes(message.trim()))
    throw invalid(
      'continue_final_message is set, but the chat template changes or drops the final message; leave it out',
    );
  // Where the template trimmed the message it trimmed the mark's space too.
  return text.startsWith(CONTINUE_TAG, at) ? text.slice(0, at) : text.slice(0, at).trimEnd();
}
