/** Text and elements for SVG and HTML alike. */

type AttributeValue = string | number | undefined;

/**
 * An element with its attributes (those that are undefined are left out) around content that is markup already. Texts have to go through
 * `escapeText`; values of attributes are escaped here.
 */
export function element(
  name: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
  content: string | readonly string[] = '',
): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escapeText(typeof value === 'number' ? number(value) : String(value))}"`)
    .join('');
  const inner = typeof content === 'string' ? content : content.join('');
  return `<${name}${written}>${inner}</${name}>`;
}

/** Without more digits than a picture shows. */
function number(value: number): string {
  return String(Math.round(value * 100) / 100);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Any text as content or value of an attribute: characters of markup escaped, those that XML can't have or that steer a page made visible. */
export function escapeText(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/**
 * A text of which everything is seen: control characters as their pictures (U+2400 to U+2426), signs that turn the direction of writing by their
 * number, halves of surrogate pairs and what is no character as U+FFFD. No text that a model was fed can break or steer a page.
 */
export function printable(text: string): string {
  return text
    .replace(/[\p{Cs}\ufffe\uffff]/gu, '\ufffd')
    .replace(/\p{Cc}/gu, controlPicture)
    .replace(
      /\p{Bidi_Control}/gu,
      (character) => `[U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}

function controlPicture(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\u2426'; // what has no picture of its own gets that of a substitute
}
