/**
 * From a source to its chunks. Pure: the same source, limits and tokenizer give the same chunks, wherever and whenever.
 *
 * What is embedded is the header and the text. Price and availability are in neither: they change often, and no chunk
 * is embedded anew for them.
 */
import { createHash } from 'node:crypto';
import { questionsOf, sectionsOf } from './sections.ts';
import { split } from './split.ts';

export type Kind = 'menu' | 'policy' | 'faq' | 'note';

/** What a chunk is made from. Of a menu item, `text` is its description. */
export type Source = {
  kind: Kind;
  title: string;
  text: string;
  category: string | null;
  /** Words to be embedded with a menu item, in a fixed order. */
  tags: readonly string[];
  allergens: readonly string[];
  /** Further facts of a menu item, as `name: value`. */
  facts: readonly string[];
};

/** How many tokens a text has for one embedding model, special tokens included, and how many it reads. */
export type Tokenizer = { countTokens(text: string): number; maxTokens: number };

/** Tokens a chunk of each kind may have, header and special tokens included; a model's own limit goes before. */
export type ChunkLimits = Record<Kind, number>;

export const usualLimits: ChunkLimits = { menu: 256, policy: 384, faq: 200, note: 384 };

export type NewChunk = {
  ordinal: number;
  header: string;
  text: string;
  content_hash: string;
  tokens: number;
};

// A header says where a text stands, and leaves it the room.
const headerShare = 0.3;
// A tokenizer may take a word of any length for a single unknown one: letters are bounded as well.
const lettersPerToken = 12;

/**
 * The chunks of a source, in its order: none over its limit, nothing of the text lost, a menu item whole where it fits.
 *
 * @param tokenizers of every model that embeds the chunks; the first one's count is stored
 * @throws RangeError for limits under which nothing fits
 */
export function* chunksOf(
  source: Source,
  limits: ChunkLimits,
  tokenizers: readonly Tokenizer[],
): Generator<NewChunk> {
  const [first] = tokenizers;
  const limit = Math.min(limits[source.kind], ...tokenizers.map(({ maxTokens }) => maxTokens));
  if (first === undefined || limit < 32) throw new RangeError(`No chunk fits in ${limit} tokens`);
  const fits = (text: string, tokens = limit) =>
    text.length <= tokens * lettersPerToken && tokenizers.every((it) => it.countTokens(text) <= tokens);
  let ordinal = 0;
  for (const { header, text } of passagesOf(source, fits, limit)) {
    const embedded = embeddedText(header, text);
    const tokens = first.countTokens(embedded);
    yield { ordinal, header, text, content_hash: hashOf(embedded), tokens };
    ordinal += 1;
  }
}

/** What the model is given for a chunk. */
export function embeddedText(header: string, text: string): string {
  return `${header}\n${text}`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

type Passage = { header: string; text: string };
type FitsIn = (text: string, tokens?: number) => boolean;

function passagesOf(source: Source, fits: FitsIn, limit: number): Iterable<Passage> {
  const clip = (text: string, share: number) => clipped(text, (it) => fits(it, Math.floor(limit * share)));
  switch (source.kind) {
    case 'menu':
      return menuPassages(source, fits, clip);
    case 'faq':
      return faqPassages(source, fits, clip);
    default:
      return sectionPassages(source, fits, clip);
  }
}

type Clip = (text: string, share: number) => string;

const labels: Record<Kind, string> = { menu: 'Menu', policy: 'Policy', faq: 'FAQ', note: 'Note' };

function* menuPassages(source: Source, fits: FitsIn, clip: Clip): Generator<Passage> {
  const header = clip(
    source.category === null ? labels.menu : `${labels.menu} · ${source.category}`,
    headerShare,
  );
  const whole = [
    `${source.title}.`,
    source.text,
    source.tags.length > 0 ? `Tags: ${source.tags.join(', ')}.` : '',
    // Said in words, since "is there something without nuts" is asked in words.
    source.allergens.length > 0 ? `Allergens: ${source.allergens.join(', ')}.` : 'Allergens: none declared.',
    source.facts.length > 0 ? `${source.facts.join('; ')}.` : '',
  ];
  const text = whole.filter((part) => part !== '').join('\n');
  if (fits(embeddedText(header, text))) return yield { header, text };
  // Too long for one: each part says whose it is.
  const named = clip(`${header} · ${source.title}`, headerShare);
  for (const part of split(text, (it) => fits(embeddedText(named, it)))) yield { header: named, text: part };
}

function* faqPassages(source: Source, fits: FitsIn, clip: Clip): Generator<Passage> {
  const asked = questionsOf(source.text) ?? [{ under: [], question: source.title, answer: source.text }];
  for (const { under: headings, question, answer } of asked) {
    const above = headings[0] === source.title ? headings.slice(1) : headings;
    const full = [`${labels.faq} · ${source.title}`, ...above].join(' › ');
    const header = clip(full, headerShare);
    const said = header === full ? [question, answer] : [...above, question, answer];
    const whole = said.filter((it) => it !== '').join('\n');
    if (fits(embeddedText(header, whole))) {
      if (whole !== '') yield { header, text: whole };
      continue;
    }
    // An answer in parts: each stands under its question. A question that is cut there stands once in full.
    const under = clip(question, headerShare);
    const rest = under === question && header === full ? answer : whole;
    const ask = (part: string) => (under === '' ? part : `${under}\n${part}`);
    for (const part of split(rest, (it) => fits(embeddedText(header, ask(it)))))
      yield { header, text: ask(part) };
  }
}

function* sectionPassages(source: Source, fits: FitsIn, clip: Clip): Generator<Passage> {
  const label = `${labels[source.kind]} · ${source.title}`;
  for (const { path, body } of sectionsOf(source.text)) {
    // The title is often the first heading as well.
    const headings = path[0] === source.title ? path.slice(1) : path;
    const full = [label, ...headings].join(' › ');
    const header = clip(full, headerShare);
    // A heading that is cut in the header, or has nothing under it, stands in the text.
    const text =
      header === full && body !== '' ? body : [...headings, body].filter((it) => it !== '').join('\n');
    for (const part of split(text, (it) => fits(embeddedText(header, it)))) yield { header, text: part };
  }
}

/** The text, or as much of its beginning as fits, with an ellipsis. For headers alone: no content is ever cut. */
function clipped(text: string, fits: (text: string) => boolean): string {
  if (fits(text)) return text;
  const letters = [...text.slice(0, 1_000)];
  let enough = 0;
  let tooMany = letters.length;
  while (tooMany - enough > 1) {
    const middle = Math.floor((enough + tooMany) / 2);
    if (fits(`${letters.slice(0, middle).join('')}…`)) enough = middle;
    else tooMany = middle;
  }
  return `${letters.slice(0, enough).join('').trimEnd()}…`;
}
