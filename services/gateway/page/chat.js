/** The page at `/chat`: ask, read the answer as it is written, see its sources, approve an order. */
import * as api from './chat-api.js';
import { createApprovals } from './chat-approvals.js';
import { createList } from './chat-list.js';
import { follow } from './chat-stream.js';
import { createTalk, isOpen } from './chat-talk.js';
import { messageItem } from './chat-view.js';
import * as session from './session.js';
import { element, newKey } from './view.js';

const by = (id) => document.getElementById(id);
const ideas = [
  'When are you open on Sunday?',
  'Which pizzas are vegan?',
  'Does the tiramisù contain nuts?',
  'I would like to order two Margherita and a Limonata',
];

/** The conversation that is shown: undefined until a first question is asked. */
let current;
let talk = createTalk();
let stream;
// Counts what is opened, so that an answer to an earlier click does not show up in a later one.
let visit = 0;

function showConnection(state, text) {
  by('connection').dataset.state = state;
  by('connection').textContent = text;
}

function showSignIn() {
  leave();
  session.forget();
  list.clear();
  for (const id of ['signed-in', 'sign-out', 'who']) by(id).hidden = true;
  by('sign-in').hidden = false;
  showConnection('off', 'signed out');
  document.querySelector('#sign-in-form [name=password]').focus();
}

async function showSignedIn() {
  const { user } = session.current();
  by('sign-in').hidden = true;
  for (const id of ['signed-in', 'sign-out', 'who']) by(id).hidden = false;
  by('who').textContent = user?.email ?? '';
  showConnection('off', 'no conversation');
  await list.read().catch(shown);
  await openFromAddress();
}

function shown(error) {
  if (error.status === 401) return showSignIn();
  by('ask-error').textContent = error.message;
}

const list = createList({
  onError: shown,
  onOpen(id) {
    location.hash = id;
    by('question').focus();
  },
});

/** The address names the conversation, so that a reload, and the way back, lead to it. */
async function openFromAddress() {
  const id = location.hash.slice(1);
  if (id === (current ?? '')) return showMessages();
  leave();
  if (!/^[0-9a-f-]{36}$/.test(id)) {
    list.show('');
    return showMessages();
  }
  current = id;
  list.show(id);
  await enter();
}

function leave() {
  visit += 1;
  stream?.stop();
  stream = undefined;
  current = undefined;
  talk = createTalk();
  by('ask-error').textContent = '';
  by('messages').replaceChildren();
}

/** Follows the conversation and reads what was said: in this order, so that nothing falls between the two. */
async function enter() {
  const mine = visit;
  const isMine = () => visit === mine;
  stream = follow(current, {
    onState: (state, text) => isMine() && showConnection(state, text),
    onOpen: () => void read(isMine).catch(shown),
    onEvent: (type, data) => isMine() && onEvent(type, data),
    onSignedOut: showSignIn,
  });
  await read(isMine).catch((error) => {
    if (error.status !== 404) return shown(error);
    location.hash = '';
  });
}

async function read(isMine) {
  const rows = await api.messages(current);
  if (!isMine()) return;
  for (const row of rows) talk.take(row);
  showMessages();
  await approvals.readNewest(rows);
}

function onEvent(type, event) {
  // What happened in between is not to be had as events: it is read again.
  if (type === 'gap') return void read(isHere(visit)).catch(shown);
  // A sign of life, whose id is where to go on.
  if (type === 'cursor') return;
  const changed = talk.apply(event);
  if (changed === undefined) return;
  // Asked in another window: the question is not known here yet.
  if (changed.isNew) void read(isHere(visit)).catch(shown);
  approvals.afterDecision(event);
  scheduleShow();
}

const isHere = (mine) => () => visit === mine;

const approvals = createApprovals({
  place: () => ({ id: current, talk, isHere: isHere(visit) }),
  onChange: showMessages,
  onDecided: () => by('question').focus(),
  onSignedOut: showSignIn,
});

let isScheduled = false;

/** Many events come within one frame. */
function scheduleShow() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    showMessages();
  });
}

/** Items by message, with what they were made from: what did not change is left alone, with the reader's selection. */
const items = new WeakMap();

function showMessages() {
  const into = by('messages');
  const isAtEnd = document.documentElement.scrollHeight - scrollY - innerHeight < 120;
  const all = talk.all();
  const focused = document.activeElement?.dataset?.decision;
  into.replaceChildren(...all.map(itemOf));
  // The card was made anew: who was about to press a button still is.
  if (focused) into.querySelector(`[data-decision=${focused}]`)?.focus({ preventScroll: true });
  if (isAtEnd) toEnd();
  const isAnswering = all.some(isOpen);
  by('stop').hidden = !isAnswering;
  by('progress').textContent = isAnswering ? 'The assistant is answering …' : progressOf(all.at(-1));
  by('ideas').hidden = all.length > 0;
  by('offline').hidden = !all.some(({ model }) => model === 'offline');
}

const toEnd = () => scrollTo(0, document.documentElement.scrollHeight);

function progressOf(last) {
  if (last?.role !== 'assistant') return '';
  if (last.approval?.state === 'pending') return 'The answer is complete: an order waits for your word.';
  return { completed: 'The answer is complete.', stopped: 'The answer was stopped.' }[last.state] ?? '';
}

function itemOf(message) {
  const made = JSON.stringify(message);
  const known = items.get(message);
  if (known?.made === made) return known.item;
  const question = questionBefore(message);
  const item = messageItem(message, {
    onDecide: (approvalId, decision) => void approvals.decide(approvalId, decision),
    ...(question === undefined ? {} : { onAgain: () => void send(question) }),
  });
  items.set(message, { made, item });
  return item;
}

const questionBefore = ({ turn_id, role }) =>
  role === 'assistant'
    ? talk.all().find((it) => it.role === 'user' && it.turn_id === turn_id)?.content
    : undefined;

async function send(content) {
  by('ask-error').textContent = '';
  try {
    if (current === undefined) await begin();
    const { turn_id, message_id, answer_id } = await api.ask(current, content, keyOf(content));
    asking = undefined;
    const said = { turn_id, citations: [], model: null, approval_id: null, error_code: null };
    const created_at = new Date().toISOString();
    talk.take({ ...said, id: message_id, role: 'user', state: 'completed', content, created_at });
    if (!talk.get(answer_id))
      talk.take({ ...said, id: answer_id, role: 'assistant', state: 'pending', content: '', created_at });
    showMessages();
    toEnd();
    if (!list.titleOf(current)) await list.read();
    return true;
  } catch (error) {
    shown(error);
    return false;
  }
}

/** One key for what a person means to ask once: trying again after a lost answer asks it once. */
let asking;

function keyOf(content) {
  if (asking?.content !== content || asking.id !== current) asking = { content, id: current, key: newKey() };
  return asking.key;
}

async function begin() {
  const opened = await api.open();
  leave();
  current = opened.id;
  list.add(opened);
  list.show(opened.id);
  history.replaceState(null, '', `#${opened.id}`);
  void enter();
}

by('sign-in-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  by('sign-in-error').textContent = '';
  try {
    await session.signIn(form.get('tenant').trim(), form.get('email').trim(), form.get('password'));
    event.target.elements.namedItem('password').value = '';
    await showSignedIn();
    by('question').focus();
  } catch (error) {
    by('sign-in-error').textContent = error.message;
  }
});

by('sign-out').addEventListener('click', async () => {
  await session.signOut();
  location.hash = '';
  showSignIn();
});

let isSending = false;
by('ask').addEventListener('submit', async (event) => {
  event.preventDefault();
  const content = by('question').value.trim();
  if (content === '' || isSending) return;
  isSending = true;
  by('question').value = '';
  // What could not be sent is still there to be sent again.
  if (!(await send(content)) && by('question').value === '') by('question').value = content;
  isSending = false;
  by('question').focus();
});

by('question').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  by('ask').requestSubmit();
});

by('stop').addEventListener('click', async () => {
  await api.stop(current).catch(shown);
  by('question').focus();
});

by('new').addEventListener('click', () => {
  location.hash = '';
  by('question').focus();
});

addEventListener('hashchange', () => {
  if (session.current()) void openFromAddress();
});

by('ideas').append(
  ...ideas.map((idea) =>
    element('button', { type: 'button', class: 'quiet', onclick: () => void send(idea) }, idea),
  ),
);

if (session.current()) void showSignedIn();
else showSignIn();
