import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type Intent, intentOf, type Mood, type Urgency, urgencyOf } from './text-signs.ts';

const calm: Mood = { label: 'neutral', score: 0 };
const angry: Mood = { label: 'negative', score: -0.7 };

describe('what a text shows of its writer', () => {
  const wanted: [Intent, string][] = [
    ['order', 'I would like to order two pizzas'],
    ['order', "I'll take the lasagne, please"],
    ['order', 'Ich möchte eine Pizza bestellen'],
    ['complaint', 'My food never arrived and I want a refund'],
    ['complaint', 'Das Essen war kalt'],
    ['order_status', 'Where is my order?'],
    ['order_status', 'Wo bleibt meine Pizza?'],
    ['promotion', 'Do you have any discounts today?'],
    ['promotion', 'Habt ihr gerade Rabattaktionen?'],
    ['question', 'What are your opening hours?'],
    ['question', 'Wann habt ihr geöffnet?'],
    ['smalltalk', 'Hello!'],
    ['smalltalk', 'Danke!'],
    ['other', 'margherita'],
  ];
  for (const [intent, text] of wanted) {
    it(`“${text}” is ${intent}`, () => assert.equal(intentOf(text), intent));
  }

  const pressing: [Urgency, string, Mood][] = [
    ['high', 'I need this immediately', calm],
    ['high', 'WHERE IS MY FOOD PLEASE', calm],
    ['high', 'It was awful, I want a refund', angry],
    ['high', 'hello??? answer me!!', calm],
    ['low', 'No rush, whenever you can', calm],
    ['normal', 'What is in the lasagne?', calm],
    ['normal', 'BBQ', calm],
  ];
  for (const [urgency, text, mood] of pressing) {
    it(`“${text}” is of ${urgency} urgency`, () =>
      assert.equal(urgencyOf(text, mood, intentOf(text)), urgency));
  }
});
