/** Cutting a text in pieces that fit: at paragraphs where it can be, at lines, sentences, words and letters where it must. */

/** Whether a piece is small enough. Of two pieces that begin alike the shorter one fits whenever the longer does. */
export type Fits = (piece: string) => boolean;

/** A part of the text, from `start` up to `end`. */
type Range = { start: number; end: number };

// Where a text may be cut, the best place first. A cut falls behind the match, so that parts tile the text.
const cuts = [/\n[^\S\n]*\n\s*/g, /\n/g, /[.!?…。！？]["'»”)\]]*\s+|[。！？]/g, /\s+/g, /./gsu];

/**
 * Pieces of the text in its order, each trimmed and fitting; nothing of it is lost but white space at their edges.
 * The text of no piece is empty. A single letter that does not fit is a piece all the same. Each piece is looked for
 * when it is asked for: a long text takes seconds in all.
 */
export function* split(text: string, fits: Fits): Generator<string> {
  for (const { start, end } of rangesOf(text, { start: 0, end: text.length }, 0, fits)) {
    const piece = text.slice(start, end).trim();
    if (piece !== '') yield piece;
  }
}

function* rangesOf(text: string, whole: Range, level: number, fits: Fits): Generator<Range> {
  if (fits(text.slice(whole.start, whole.end).trim())) return yield whole;
  const cut = cuts[level];
  if (cut === undefined) return yield whole;
  const units = cutAt(text, whole, cut);
  if (units.length === 1) return yield* rangesOf(text, whole, level + 1, fits);
  for (let first = 0; first < units.length; ) {
    const unit = units[first];
    if (unit === undefined) return;
    const count = fitting(text, units, first, fits);
    if (count === 0) yield* rangesOf(text, unit, level + 1, fits);
    else yield { start: unit.start, end: units[first + count - 1]?.end ?? unit.end };
    first += Math.max(1, count);
  }
}

/** How many units from `first` on fit together: by doubling, then by halves, so that little is counted twice. */
function fitting(text: string, units: readonly Range[], first: number, fits: Fits): number {
  const start = units[first]?.start ?? 0;
  const fit = (count: number) => fits(text.slice(start, units[first + count - 1]?.end).trim());
  const most = units.length - first;
  let enough = 0;
  let tooMany = most + 1;
  for (let count = 1; count < tooMany; count = Math.min(count * 2, most)) {
    if (!fit(count)) tooMany = count;
    else enough = count;
    if (enough === most) return most;
  }
  while (tooMany - enough > 1) {
    const middle = Math.floor((enough + tooMany) / 2);
    if (fit(middle)) enough = middle;
    else tooMany = middle;
  }
  return enough;
}

function cutAt(text: string, { start, end }: Range, cut: RegExp): Range[] {
  const ranges: Range[] = [];
  let from = start;
  for (const match of text.slice(start, end).matchAll(cut)) {
    const to = start + match.index + match[0].length;
    if (to > from) ranges.push({ start: from, end: to });
    from = to;
  }
  if (from < end) ranges.push({ start: from, end });
  return ranges;
}
