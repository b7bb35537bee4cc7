/**
 * Citations as they come about: markers such as [1] or [2, 3] in a text that arrives in pieces.
 *
 * A marker that names nothing that was shown is left out, so that no reader looks for a source that is not there.
 */

export type Marked = {
  text: string;
  /** Numbers of the markers in the text, in their order. */
  cited: number[];
};

const whole = /^\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]/;
// What may become a marker with what comes next, with the blank before it that goes when the marker goes.
const begun = /^ ?(?:\[[\d,\s]{0,20})?$/;

/** @param isKnown whether something was shown under the number */
export function createMarks(isKnown: (number: number) => boolean) {
  let held = '';

  function read(all: string, isEnd: boolean): Marked {
    const cited: number[] = [];
    let text = '';
    let rest = all;
    held = '';
    while (rest !== '') {
      const at = rest.search(/ ?\[| $/);
      if (at < 0) {
        text += rest;
        break;
      }
      text += rest.slice(0, at);
      rest = rest.slice(at);
      if (!isEnd && begun.test(rest)) {
        held = rest;
        break;
      }
      const blank = rest.startsWith(' ') ? ' ' : '';
      const [marker, inside = ''] = whole.exec(rest.slice(blank.length)) ?? [];
      if (marker === undefined) {
        const plain = blank.length + 1;
        text += rest.slice(0, plain);
        rest = rest.slice(plain);
        continue;
      }
      const known = inside.split(',').map(Number).filter(isKnown);
      if (known.length > 0) text += `${blank}${known.map((number) => `[${number}]`).join('')}`;
      cited.push(...known);
      rest = rest.slice(blank.length + marker.length);
    }
    return { text, cited };
  }

  return {
    /** What can be shown of the text so far; the beginning of a marker is held back. */
    push: (piece: string): Marked => read(held + piece, false),
    /** What was held back. */
    end: (): Marked => read(held, true),
  };
}
