import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { ChatMessage } from '../model/model.ts';
import { aChunk, aPastTurn } from './turn.support.ts';
import { cutResult, fitWindow, type WindowLimits, type WindowParts } from './window.ts';

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;
const roomy: WindowLimits = {
  modelTokens: 4_000,
  tokensMax: 4_000,
  answerTokens: 500,
  knowledgeTokens: 1_000,
  historyTokens: 1_000,
};

describe('the context window', () => {
  it('shows everything, in its order, while there is room', () => {
    const { messages, note } = fitWindow(parts({ rounds: [aRound('found')] }), roomy, words);
    assert.deepEqual(
      messages.map(({ role }) => role),
      ['system', 'user', 'assistant', 'user', 'assistant', 'tool'],
    );
    assert.match(
      messages[0]?.content ?? '',
      /^Rules\.\n\[1\] .*Earlier in this conversation:\nHe likes nuts\.$/s,
    );
    assert.deepEqual(note.cut, { turns: 0, sources: [], tool_results: 0, summary: false });
  });

  it('never sends more than the model takes beside its answer, or says that it cannot', () => {
    const size = fc.nat(60);
    const shape = fc.record({
      turns: fc.array(fc.tuple(size, size), { maxLength: 12 }),
      chunks: fc.array(size, { maxLength: 10 }),
      rounds: fc.array(fc.array(size, { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
      summary: fc.option(size),
      question: size,
      tools: fc.nat(100),
      modelTokens: fc.integer({ min: 50, max: 900 }),
    });
    fc.assert(
      fc.property(shape, (it) => {
        const limits = { ...roomy, modelTokens: it.modelTokens, answerTokens: 40 };
        const given = parts({
          turns: it.turns.map(([q, a]) => aPastTurn({ question: text(q), answer: text(a) })),
          chunks: it.chunks.map((length, i) => ({ number: i + 1, chunk: aChunk({ text: text(length) }) })),
          rounds: it.rounds.map((results) => aRound(...results.map(text))),
          summary: it.summary === null ? null : text(it.summary),
          question: text(it.question),
          toolTokens: it.tools,
        });
        const sent = sentOrRefused(given, limits);
        if (sent === undefined) return;
        const counted = sent.reduce((sum, message) => sum + words(message.content) + callWords(message), 0);
        assert.ok(counted + it.tools + 40 <= it.modelTokens, `${counted} of ${it.modelTokens}`);
        assert.equal(sent.filter(({ content }) => content === given.question).length > 0, true);
      }),
    );
  });

  it('gives up old turns first, then the worst sources, old results, the summary, and the last turn last', () => {
    const given = parts({
      turns: [
        aPastTurn({ answer: text(40) }),
        aPastTurn({ answer: text(40) }),
        aPastTurn({ answer: text(40) }),
      ],
      chunks: [1, 2, 3, 4, 5].map((number) => ({
        number,
        chunk: aChunk({ id: `chunk-${number}`, text: text(40) }),
      })),
      rounds: [aRound(text(60)), aRound(text(60))],
      summary: text(40),
    });
    const sizes = Array.from({ length: 55 }, (_, i) => 700 - i * 10);
    const cuts = sizes.map((modelTokens) => {
      const { note } = fitWindow(given, { ...roomy, answerTokens: 10, modelTokens }, words);
      const { turns, sources, tool_results, summary } = note.cut;
      return { turns, sources: sources.length, tool_results, summary: Number(summary) };
    });
    // Each kind of cut begins only when the one before it is used up.
    const beginsAt = (name: keyof (typeof cuts)[number], least = 1) => {
      const at = cuts.findIndex((cut) => cut[name] >= least);
      assert.ok(at >= 0, name);
      return at;
    };
    const order = [
      beginsAt('turns'),
      beginsAt('turns', 2),
      beginsAt('sources'),
      beginsAt('sources', 2),
      beginsAt('tool_results'),
      beginsAt('summary'),
      beginsAt('turns', 3),
      beginsAt('sources', 3),
    ];
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
    assert.deepEqual(cuts[0], { turns: 0, sources: 0, tool_results: 0, summary: 0 });
  });

  it('leaves a stub in the place of a result, so that each call keeps its answer', () => {
    const given = parts({ chunks: [], turns: [], summary: null, rounds: [aRound(text(200)), aRound('new')] });
    const { messages, note } = fitWindow(given, { ...roomy, modelTokens: 120, answerTokens: 10 }, words);
    assert.equal(note.cut.tool_results, 1);
    assert.deepEqual(
      messages.filter(({ role }) => role === 'tool').map(({ content }) => content),
      [cutResult, 'new'],
    );
  });

  it('keeps knowledge and past turns within budgets of their own', () => {
    const given = parts({
      turns: [aPastTurn({ answer: text(80) }), aPastTurn({ answer: text(80) })],
      chunks: [1, 2].map((number) => ({ number, chunk: aChunk({ id: `chunk-${number}`, text: text(80) }) })),
    });
    const { note } = fitWindow(given, { ...roomy, knowledgeTokens: 100, historyTokens: 100 }, words);
    assert.deepEqual([note.cut.turns, note.cut.sources], [1, ['chunk-2']]);
  });

  function sentOrRefused(given: WindowParts, limits: WindowLimits): ChatMessage[] | undefined {
    try {
      return fitWindow(given, limits, words).messages;
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'context_too_long');
      return undefined;
    }
  }
});

function parts(changes: Partial<WindowParts> = {}): WindowParts {
  return {
    system: (knowledge) => `Rules.\n${knowledge}`,
    toolTokens: 0,
    summary: 'He likes nuts.',
    chunks: [{ number: 1, chunk: aChunk() }],
    turns: [aPastTurn()],
    question: 'And today?',
    rounds: [],
    ...changes,
  };
}

const text = (length: number) => Array.from({ length }, () => 'word').join(' ');

function aRound(...results: string[]): ChatMessage[] {
  const calls = results.map((_, i) => ({ id: `call-${i}`, name: 'search', arguments: '{}' }));
  return [
    { role: 'assistant', content: '', tool_calls: calls },
    ...results.map((content, i) => ({ role: 'tool' as const, tool_call_id: `call-${i}`, content })),
  ];
}

function callWords({ tool_calls }: ChatMessage): number {
  return tool_calls === undefined ? 0 : words(JSON.stringify(tool_calls));
}
