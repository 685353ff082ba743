/** `datetime.strftime` in English, as transformers' `strftime_now` gives it in the C locale. */
export function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const named = (options: Intl.DateTimeFormatOptions): string => new Intl.DateTimeFormat('en-US', options).format(date);
  const startOfYear = Date.UTC(date.getFullYear(), 0, 0);
  const parts: Readonly<Record<string, () => string>> = {
    a: () => named({ weekday: 'short' }),
    A: () => named({ weekday: 'long' }),
    b: () => named({ month: 'short' }),
    B: () => named({ month: 'long' }),
    d: () => two(date.getDate()),
    e: () => String(date.getDate()).padStart(2, ' '),
    H: () => two(date.getHours()),
    I: () => two(date.getHours() % 12 || 12),
    j: () =>
      String((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - startOfYear) / 86400000).padStart(3, '0'),
    m: () => two(date.getMonth() + 1),
    M: () => two(date.getMinutes()),
    p: () => (date.getHours() < 12 ? 'AM' : 'PM'),
    S: () => two(date.getSeconds()),
    y: () => two(date.getFullYear() % 100),
    Y: () => String(date.getFullYear()),
    '%': () => '%',
  };
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, bare: string, letter: string) => {
    const text = Object.hasOwn(parts, letter) ? parts[letter]?.() : undefined;
    if (text === undefined) return whole;
    return bare === '-' ? text.replace(/^[0 ]+(?=.)/, '') : text;
  });
}
