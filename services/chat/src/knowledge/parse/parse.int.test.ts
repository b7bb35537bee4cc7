import assert from 'node:assert/strict';
import { deflateSync } from 'node:zlib';
import { describe, it } from 'mocha';
import { aBomb, aPdf } from './a-pdf.support.ts';
import { createParser } from './parse.ts';
import { ParseError, type ParseFault } from './parsed.ts';

const parser = createParser({ lettersMax: 100_000, deadlineMs: 20_000 });
const html = (text: string) => parser.parse('text/html', Buffer.from(text));
const pdf = (bytes: Uint8Array) => parser.parse('application/pdf', bytes);
const isFault = (fault: ParseFault) => (error: unknown) =>
  error instanceof ParseError && error.fault === fault;

describe('reading documents', function () {
  this.timeout(60_000);

  it('reads a PDF with its title, its headings by the size of their letters, and its pages in order', async () => {
    const bytes = aPdf(
      [
        [{ text: 'Refunds', size: 24 }, { text: 'We refund within 14 days (always).' }],
        [{ text: 'Late orders', size: 16 }, { text: 'An hour late is free.' }],
      ],
      { title: 'Our rules' },
    );
    assert.deepEqual(await pdf(bytes), {
      title: 'Our rules',
      text: '# Refunds\n\nWe refund within 14 days (always).\n\n## Late orders\n\nAn hour late is free.',
    });
  });

  it('reads a page, Markdown and plain text', async () => {
    assert.equal((await html('<h1>A</h1><p>b')).text, '# A\n\nb');
    const markdown = await parser.parse('text/markdown', Buffer.from('\ufeff# Title\r\n\r\ntext \0\n'));
    assert.deepEqual(markdown, { title: 'Title', text: '# Title\n\ntext' });
    assert.equal((await parser.parse('text/plain', Buffer.from('only text'))).title, null);
  });

  it('refuses what is no PDF, what has no text, and what has too much', async () => {
    await assert.rejects(pdf(Buffer.from('GIF89a')), isFault('unreadable'));
    await assert.rejects(pdf(aPdf([[]])), isFault('no_text'));
    await assert.rejects(html('<script>x</script>'), isFault('no_text'));
    await assert.rejects(html(`<p>${'word '.repeat(30_000)}`), isFault('too_long'));
    await assert.rejects(parser.parse('text/plain', Buffer.alloc(100_001, 'a')), isFault('too_long'));
  });

  it('gives up what takes too long, and reads the next all the same', async () => {
    const hasty = createParser({ lettersMax: 100_000, deadlineMs: 1_500 });
    // Each end tag looks for its beginning through all that are open.
    const nested = Buffer.from(`${'<i>'.repeat(400_000)}${'</u>'.repeat(1_000_000)}`);
    await assert.rejects(hasty.parse('text/html', nested), isFault('too_costly'));
    assert.equal((await hasty.parse('text/html', Buffer.from('<p>next'))).text, 'next');
  });

  it('gives up what unfolds without end, and this process lives on', async () => {
    const bomb = aBomb(deflateSync(Buffer.alloc(300_000_000, ' '), { level: 1 }));
    await assert.rejects(pdf(bomb), (error: unknown) => error instanceof ParseError);
    assert.equal((await html('<p>next')).text, 'next');
  });

  it('lets few in at a time, and tells the others so', async () => {
    const one = createParser({ lettersMax: 1_000, deadlineMs: 20_000, atOnce: 1 });
    const results = await Promise.allSettled(
      Array.from({ length: 4 }, (_, index) => one.parse('text/html', Buffer.from(`<p>${index}`))),
    );
    assert.deepEqual(
      results.map((it) => (it.status === 'fulfilled' ? it.value.text : it.reason.code)),
      ['0', '1', 'unavailable', 'unavailable'],
    );
  });
});
