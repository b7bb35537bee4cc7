/** The structure of a document's text: sections under headings, and questions with their answers. */

/** What stands under one heading; `path` are the headings above it and its own, the outermost first. */
export type Section = { path: string[]; body: string };

/** `under`: the headings above the question. */
export type QuestionAndAnswer = { under: string[]; question: string; answer: string };

// A longer line is text that somebody began with a hash.
const headingLengthMax = 120;
const headingMark = /^ {0,3}(#{1,6})[ \t]+/;
const fencePattern = /^ {0,3}(```|~~~)/;

/**
 * Sections of Markdown, in order. A text without headings is one section. Nothing is lost: a heading over other headings
 * stands in their paths, and one with nothing at all under it is a section with an empty body.
 */
export function sectionsOf(text: string): Section[] {
  const sections: { path: string[]; lines: string[] }[] = [{ path: [], lines: [] }];
  const path: { level: number; title: string }[] = [];
  let fence: string | undefined;
  for (const line of text.split('\n')) {
    const mark = fencePattern.exec(line)?.[1];
    // Within a fence a hash is a comment of whatever language stands there.
    if (mark !== undefined && (fence === undefined || fence === mark))
      fence = fence === undefined ? mark : undefined;
    const heading = fence === undefined ? headingOf(line) : undefined;
    if (heading === undefined) {
      sections.at(-1)?.lines.push(line);
      continue;
    }
    while ((path.at(-1)?.level ?? 0) >= heading.level) path.pop();
    path.push(heading);
    sections.push({ path: path.map((it) => it.title), lines: [] });
  }
  return sections
    .map(({ path, lines }) => ({ path, body: lines.join('\n').trim() }))
    .filter(({ path, body }, index, all) => {
      // By depth: another heading of the same words is not under it.
      const isOver = (all[index + 1]?.path.length ?? 0) > path.length;
      return body !== '' || (path.length > 0 && !isOver);
    });
}

/** The heading that a line is, as Markdown has them. Takes time in proportion to the line, whatever stands in it. */
export function headingOf(line: string): { level: number; title: string } | undefined {
  const [mark, hashes = ''] = headingMark.exec(line) ?? [];
  if (mark === undefined || line.length > headingLengthMax * 2) return undefined;
  const title = line.slice(mark.length).trim().replace(/\s#+$/, '').trim();
  return title === '' || title.length > headingLengthMax ? undefined : { level: hashes.length, title };
}

const questionMark = /^(?:\*\*|__)?\s*(?:q|question)\s*[:.]\s*/i;
const answerMark = /^(?:\*\*|__)?\s*(?:a|answer)\s*[:.]\s*(?:\*\*|__)?\s*/i;

/**
 * The questions of a FAQ's text with their answers: headings with what is under them, `Q:` and `A:`, or lines that end
 * with a question mark. Undefined when it has none of these: then its title is the question.
 */
export function questionsOf(text: string): QuestionAndAnswer[] | undefined {
  const sections = sectionsOf(text);
  const headed = sections.filter(({ path, body }) => path.length > 0 && body !== '');
  const isUnderHeadings = headed.some(({ path }) => path.at(-1)?.endsWith('?') || path.length > 1);
  if (isUnderHeadings || headed.length > 1) {
    return sections.map(({ path, body }) => ({
      under: path.slice(0, -1),
      question: path.at(-1) ?? '',
      answer: body,
    }));
  }
  return questionLines(text);
}

function questionLines(text: string): QuestionAndAnswer[] | undefined {
  const found: { question: string; lines: string[] }[] = [];
  const before: string[] = [];
  for (const line of text.split('\n')) {
    const question = questionOf(line);
    if (question !== undefined) found.push({ question, lines: [] });
    else (found.at(-1)?.lines ?? before).push(line);
  }
  const answered = found.map(({ question, lines }) => {
    const answer = lines.join('\n').trim().replace(answerMark, '');
    return { under: [], question, answer };
  });
  // A question within prose is none of a FAQ: each has to have an answer.
  if (answered.length === 0 || answered.some(({ answer }) => answer === '')) return undefined;
  const introduction = before.join('\n').trim();
  return introduction === '' ? answered : [{ under: [], question: '', answer: introduction }, ...answered];
}

function questionOf(line: string): string | undefined {
  const text = line.trim().replace(/^[-*]\s+/, '');
  if (text.length > headingLengthMax * 2) return undefined;
  const bare = text
    .replace(questionMark, '')
    .replace(/^(?:\*\*|__)|(?:\*\*|__)$/g, '')
    .trim();
  return questionMark.test(text) || bare.endsWith('?') ? bare : undefined;
}
