/** A record's key as text: as it is where it is text, else in base64. */

const mark = 'base64:';

export function keyText(key: Buffer | null): string | null {
  if (key === null) return null;
  const text = key.toString('utf8');
  const isText = Buffer.from(text).equals(key) && !text.includes('\u0000') && !text.startsWith(mark);
  return isText ? text : mark + key.toString('base64');
}

/** The bytes of what keyText made. */
export function keyFrom(text: string): Buffer {
  return text.startsWith(mark) ? Buffer.from(text.slice(mark.length), 'base64') : Buffer.from(text);
}
