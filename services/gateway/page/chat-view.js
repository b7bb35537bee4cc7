/** What is seen of a conversation. Data becomes text nodes only, never HTML. */
import { element, money, time } from './view.js';

const toolWords = {
  retrieve_menu: ['Looking at the menu', 'Looked at the menu'],
  search_knowledge_base: ['Looking it up', 'Looked it up'],
  apply_promos: ['Checking promotions', 'Checked promotions'],
  confirm: ['Preparing the order', 'Prepared the order'],
  analyze_conversation: ['Reading the conversation', 'Read the conversation'],
  generate_summary: ['Summarising', 'Summarised'],
  validate_input: ['Checking the text', 'Checked the text'],
};

const failures = {
  model_unavailable: 'The assistant cannot be reached at the moment. Please ask again in a minute.',
  model_stalled: 'The assistant stopped in the middle. Please ask again.',
  model_refused: 'The assistant could not take this question.',
  content_refused: 'The assistant does not answer this.',
  context_too_long: 'This question is too long. Please ask a shorter one.',
  orders_unavailable:
    'The order could not be sent, so nothing is ordered yet. Approve it again to try again.',
  turn_deadline: 'The answer took too long. Please ask again.',
  expired: 'Nobody answered in time. Please ask again.',
};

/** @param {string} code @param {boolean} isOrder whether it is a decision's answer, which cannot be asked for again */
export const failureText = (code, isOrder = false) =>
  isOrder ? failures.orders_unavailable : (failures[code] ?? 'Something went wrong here. Please ask again.');

/**
 * @param {object} message as chat-talk.js keeps it
 * @param {{ onDecide: (approval: object, decision: 'approve' | 'reject') => void, onAgain?: () => void }} options
 */
export function messageItem(message, options) {
  const { id, role, state } = message;
  const isAnswer = role === 'assistant';
  const isBusy = isAnswer && (state === 'pending' || state === 'running');
  const item = element(
    'article',
    {
      class: `message ${role}`,
      'aria-label': isAnswer ? 'Assistant' : 'You',
      data: { message: id, state },
      'aria-busy': isAnswer ? String(isBusy) : undefined,
    },
    element('p', { class: 'by' }, isAnswer ? 'Assistant' : 'You', ` · ${time(message.created_at)}`),
  );
  if (!isAnswer) {
    item.append(element('p', { class: 'text' }, message.content));
    return item;
  }
  if (message.tools.length > 0) item.append(toolList(message.tools));
  item.append(element('p', { class: 'text' }, ...pieces(message)));
  if (message.citations.length > 0) item.append(sources(message));
  if (message.approval) item.append(approvalCard(message.approval, options));
  if (state === 'stopped') item.append(element('p', { class: 'hint' }, 'Stopped.'));
  if (state === 'failed') item.append(failure(message, options));
  return item;
}

const sourceId = (message, index) => `source-${message.id}-${index}`;

/** The text, its markers as links to the sources below it; a marker without a source stays as it is. */
function pieces(message) {
  const byIndex = new Map(message.citations.map((citation) => [citation.index, citation]));
  return message.content.split(/(\s?\[\d{1,3}\])/).map((piece) => {
    const index = Number(/^\s?\[(\d{1,3})\]$/.exec(piece)?.[1]);
    const citation = byIndex.get(index);
    if (!citation) return piece;
    const link = element(
      'a',
      { href: `#${sourceId(message, index)}`, 'aria-label': `Source ${index}: ${citation.title}` },
      `[${index}]`,
    );
    link.addEventListener('click', (event) => {
      // The address keeps naming the conversation.
      event.preventDefault();
      const target = document.getElementById(sourceId(message, index));
      target?.scrollIntoView({ block: 'nearest' });
      target?.focus({ preventScroll: true });
    });
    return element('sup', {}, link);
  });
}

/** An address of the API says nothing to a customer. */
const isForReaders = (source) => Boolean(source) && !source.startsWith('/v1/');

function sources(message) {
  const inOrder = message.citations.toSorted((a, b) => a.index - b.index);
  return element(
    'ol',
    { class: 'sources', 'aria-label': 'Sources' },
    ...inOrder.map(({ index, title, source }) =>
      element(
        'li',
        { id: sourceId(message, index), value: index, tabindex: -1 },
        title,
        isForReaders(source) && source !== title ? ` (${source})` : '',
      ),
    ),
  );
}

function toolList(tools) {
  // The same step several times in a row is one line.
  const steps = tools.filter((it, at) => {
    const next = tools[at + 1];
    return next?.tool !== it.tool || next.state !== it.state;
  });
  return element(
    'ul',
    { class: 'tools', 'aria-label': 'Steps' },
    ...steps.map(({ tool, state }) => {
      const [doing, done] = toolWords[tool] ?? [tool, tool];
      const words = { running: `${doing} …`, done, failed: `${doing}: that did not work` };
      return element('li', { data: { tool, state } }, words[state]);
    }),
  );
}

const approvalWords = {
  approved: 'Approved.',
  rejected: 'Rejected: nothing is ordered.',
  used: 'Ordered.',
  replaced: 'A newer offer has taken the place of this one.',
  expired: 'This offer has expired; ask for it again.',
  failed: 'This could not be ordered.',
};

function approvalCard({ approval_id, quote, state, error }, { onDecide }) {
  const { items, currency, subtotal, discount, total, promo_code, notes } = quote;
  const titleId = `approval-${approval_id}`;
  const line = (what, amount, className) => [
    element('dt', { class: className }, what),
    element('dd', { class: className }, amount),
  ];
  const rows = [
    ...items.flatMap(({ quantity, name, line_total, notes }) =>
      line(`${quantity} × ${name}${notes ? ` (${notes})` : ''}`, money(line_total, currency)),
    ),
    ...(discount > 0
      ? [
          ...line('Subtotal', money(subtotal, currency), 'sum'),
          ...line(`Discount${promo_code ? ` (${promo_code})` : ''}`, `−${money(discount, currency)}`),
        ]
      : []),
    ...line('Total', money(total, currency), 'sum'),
  ];
  const isOpen = state === 'pending' || state === 'deciding';
  const button = (decision, text, className) =>
    element(
      'button',
      {
        type: 'button',
        class: className,
        disabled: state === 'deciding',
        data: { decision },
        onclick: () => onDecide(approval_id, decision),
      },
      text,
    );
  return element(
    'section',
    { class: 'approval', 'aria-labelledby': titleId, data: { approval: approval_id, state } },
    element('h2', { id: titleId }, 'Shall this be ordered?'),
    element('dl', {}, ...rows),
    // Nobody approves what he has not seen.
    notes ? element('p', { class: 'notes' }, `Note for the order: ${notes}`) : undefined,
    isOpen
      ? element(
          'div',
          { class: 'actions' },
          button('approve', 'Approve'),
          button('reject', 'Reject', 'quiet'),
        )
      : element('p', { class: 'hint', role: 'status' }, approvalWords[state] ?? state),
    error ? element('p', { class: 'error', role: 'alert' }, error) : undefined,
  );
}

function failure({ error_code, approval_id }, { onAgain }) {
  // The answer to a decision has no question of its own.
  const isOrder = onAgain === undefined && Boolean(approval_id);
  return element(
    'div',
    { class: 'failure' },
    element('p', { class: 'error' }, failureText(error_code, isOrder)),
    onAgain
      ? element('button', { type: 'button', class: 'quiet', onclick: onAgain }, 'Ask again')
      : undefined,
  );
}

/** @param {{ isCurrent: boolean, onOpen: () => void }} options */
export function conversationItem({ id, title }, { isCurrent, onOpen }) {
  const button = element(
    'button',
    { type: 'button', 'aria-current': isCurrent ? 'true' : undefined, onclick: onOpen },
    title ?? 'New conversation',
  );
  return element('li', { data: { conversation: id } }, button);
}
