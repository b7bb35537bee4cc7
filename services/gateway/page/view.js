/** What is seen. Data becomes text nodes only, never HTML. */

/** @param {string} tag @param {object} props @param {(Node | string | undefined)[]} children */
export function element(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (name === 'class') node.className = value;
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.filter((child) => child !== undefined));
  return node;
}

export function money(minor, currency) {
  try {
    const format = new Intl.NumberFormat(undefined, { style: 'currency', currency });
    return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
  } catch {
    return `${minor} ${currency}`;
  }
}

export function time(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleTimeString();
}

export const shortId = (id) => `#${String(id).replaceAll('-', '').slice(-6)}`;

const steps = {
  pending: ['confirmed', 'cancelled'],
  confirmed: ['preparing', 'cancelled'],
  preparing: ['ready', 'cancelled'],
  ready: ['completed', 'preparing'],
};

const verbs = {
  confirmed: 'Confirm',
  preparing: 'Prepare',
  ready: 'Ready',
  completed: 'Complete',
  cancelled: 'Cancel',
};

export function productItem(product, quantity, onChange) {
  const id = `quantity-${product.id}`;
  const input = element('input', {
    id,
    type: 'number',
    min: 0,
    max: 99,
    step: 1,
    inputmode: 'numeric',
    placeholder: 0,
    value: quantity > 0 ? quantity : undefined,
    oninput: () => onChange(Math.max(0, Math.min(99, Math.trunc(Number(input.value)) || 0))),
  });
  return element(
    'li',
    { class: 'product', data: { product: product.id } },
    element(
      'div',
      {},
      element('label', { for: id }, product.name),
      element('p', { class: 'small' }, product.description ?? ''),
    ),
    element('span', {}, money(product.price, product.currency)),
    input,
  );
}

/**
 * @param {object} order
 * @param {{ mayMove: boolean, isFresh: boolean, isOwn: boolean, isOpen: boolean, onMove: (status: string) => void,
 *   onCancel: () => void, onHistory: (into: HTMLElement) => void }} options
 */
export function orderItem(order, { mayMove, isFresh, isOwn, isOpen, onMove, onCancel, onHistory }) {
  const lines = order.items.map((item) => `${item.quantity} × ${item.name}`).join(', ');
  const buttons = mayMove
    ? (steps[order.status] ?? []).map((status) => button(order, verbs[status], () => onMove(status)))
    : order.status === 'pending'
      ? [button(order, 'Cancel', onCancel)]
      : [];
  const list = element('ol', { class: 'small' });
  const details = element('details', { open: isOpen }, element('summary', {}, 'History'), list);
  details.addEventListener('toggle', () => details.open && onHistory(list));
  return element(
    'li',
    { class: classes({ fresh: isFresh, own: isOwn }), tabindex: -1, data: { order: order.id } },
    element(
      'div',
      { class: 'row' },
      element('strong', {}, shortId(order.id), isOwn ? ' · yours' : ''),
      element('span', { class: 'status', data: { status: order.status } }, order.status),
      element('span', {}, money(order.total, order.currency)),
    ),
    element('p', { class: 'small' }, `${time(order.created_at)} · ${lines}`),
    buttons.length > 0 ? element('div', { class: 'actions' }, ...buttons) : undefined,
    details,
  );
}

function button(order, text, onclick) {
  return element(
    'button',
    { type: 'button', class: 'quiet', 'aria-label': `${text} ${shortId(order.id)}`, onclick },
    text,
  );
}

export function historyItem(event) {
  const status = event.order?.status ?? event.data?.order?.status ?? event.status ?? '';
  const type = String(event.event_type ?? '').replaceAll('_', ' ');
  return element('li', {}, `${time(event.occurred_at)} ${type}${status ? `: ${status}` : ''}`);
}

const classes = (wanted) =>
  Object.keys(wanted)
    .filter((name) => wanted[name])
    .join(' ');

/** One line of the log, from a message of the socket. */
export function eventItem(message, { isOwn }) {
  const { data } = message;
  const delayMs = Math.max(0, Date.now() - Date.parse(message.occurred_at));
  const about = data.order
    ? `${shortId(data.order.id)} ${data.previous_status ? `${data.previous_status} → ` : ''}${data.order.status}`
    : (data.notification?.title ?? '');
  // Events from before the page was opened say nothing about the way here.
  const delay = delayMs < 60_000 ? `${Math.round(delayMs)} ms` : '';
  return element(
    'li',
    {
      class: classes({ fresh: true, own: isOwn }),
      data: { event: message.id ?? '', type: message.event_type, order: data.order?.id ?? '' },
    },
    element('strong', {}, String(message.event_type).replaceAll('_', ' ')),
    ` ${about} `,
    element('span', { class: 'small' }, `${time(message.occurred_at)} ${delay}`),
  );
}

/** Random; by other means than crypto.randomUUID, which pages of plain http on other hosts than localhost lack. */
export const newKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
