/** The page at `/`: sign in, order, and see what happens to it. */
import * as api from './api.js';
import { follow } from './live.js';
import * as session from './session.js';
import { element, eventItem, historyItem, money, newKey, orderItem, productItem, shortId } from './view.js';

const by = (id) => document.getElementById(id);
const eventsShownMax = 100;

/** Orders by id, newest first when shown. */
const orders = new Map();
const openHistories = new Set();
// Orders that were placed on this page: they stay marked, so that their owner finds them again.
const ownIds = new Set();
const quantities = new Map();
let products = [];
let live;
let older;
// One key for each order that a person means to place: trying again after a lost answer places it once.
let orderKey = newKey();

function showConnection(state, text) {
  by('connection').dataset.state = state;
  by('connection').textContent = text;
}

function showSignIn() {
  live?.stop();
  live = undefined;
  session.forget();
  orders.clear();
  quantities.clear();
  ownIds.clear();
  by('order-placed').replaceChildren();
  by('events').replaceChildren();
  by('no-events').hidden = false;
  for (const id of ['signed-in', 'sign-out', 'who']) by(id).hidden = true;
  by('sign-in').hidden = false;
  showConnection('off', 'signed out');
  document.querySelector('#sign-in-form [name=password]').focus();
}

async function showSignedIn() {
  const { user } = session.current();
  by('sign-in').hidden = true;
  for (const id of ['signed-in', 'sign-out', 'who']) by(id).hidden = false;
  by('who').textContent = `${user?.email ?? ''} · ${user?.roles?.join(', ') ?? ''}`;
  by('orders-hint').textContent = session.hasRole('staff', 'admin')
    ? `All orders of your tenant. Move one on: its customer sees it at once.${sampleHint(user)}`
    : 'Your orders. Staff move them on; you see it here at once.';
  await Promise.all([showProducts().catch(shown('order-error')), start()]);
}

/** Who sees orders come in by themselves is told where they come from. */
const sampleHint = (user) =>
  user?.email?.endsWith('@demo.example')
    ? ' In this tenant npm start places a sample order every few seconds.'
    : '';

async function start() {
  let since;
  try {
    since = await readOrders();
  } catch (error) {
    shown('orders-error')(error);
  }
  if (!session.current() || live) return;
  live = follow({ since, onState: showConnection, onEvent, onGap: readOrders, onSignedOut: showSignIn });
}

/** Reads the newest orders again; returns the cursor from which to follow. */
async function readOrders() {
  const page = await api.orders();
  for (const order of page.orders) take(order);
  older = page.next;
  by('orders-error').textContent = '';
  showOrders();
  return page.position;
}

/** Keeps an order unless a newer version is known: answers and events may overtake each other. */
function take(order) {
  const known = orders.get(order.id);
  if (!known || known.version <= order.version) orders.set(order.id, { ...known, ...order });
}

function onEvent(message) {
  const { order } = message.data;
  if (order) {
    take(order);
    showOrders(order.id);
  }
  const log = by('events');
  by('no-events').hidden = true;
  log.prepend(eventItem(message, { isOwn: ownIds.has(order?.id ?? message.data.notification?.order_id) }));
  while (log.children.length > eventsShownMax) log.lastChild.remove();
}

function showOrders(freshId) {
  const focused = document.activeElement?.getAttribute('aria-label');
  const list = [...orders.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
  by('orders').replaceChildren(
    ...list.map((order) =>
      orderItem(order, {
        mayMove: session.hasRole('staff', 'admin'),
        isFresh: order.id === freshId,
        isOwn: ownIds.has(order.id),
        isOpen: openHistories.has(order.id),
        onMove: (status) => change(() => api.moveOrder(order.id, status)),
        onCancel: () => change(() => api.cancelOrder(order.id)),
        onHistory: (into) => showHistory(order.id, into),
      }),
    ),
  );
  by('no-orders').hidden = list.length > 0;
  by('more').hidden = !older;
  // The list was made anew: who was about to press a button still is.
  if (focused) {
    [...by('orders').querySelectorAll('button')]
      .find((it) => it.getAttribute('aria-label') === focused)
      ?.focus();
  }
}

async function change(act) {
  try {
    take(await act());
    by('orders-error').textContent = '';
    showOrders();
  } catch (error) {
    shown('orders-error')(error);
  }
}

async function showHistory(id, into) {
  openHistories.add(id);
  try {
    into.replaceChildren(...(await api.history(id)).map(historyItem));
  } catch (error) {
    into.textContent = error.message;
  }
}

async function showProducts(q) {
  products = await api.products(q);
  by('products').replaceChildren(
    ...products.map((product) =>
      productItem(product, quantities.get(product.id)?.quantity ?? 0, (quantity) => {
        if (quantity > 0) quantities.set(product.id, { product, quantity });
        else quantities.delete(product.id);
        orderKey = newKey();
        showTotal();
      }),
    ),
  );
  by('products-hint').textContent = productsHint(q);
  showTotal();
}

function productsHint(q) {
  if (products.length === 0) return q ? `Nothing is called “${q}”.` : 'There are no products.';
  if (products.length < api.productsShownMax) return '';
  return `The first ${products.length} are shown, the list scrolls; search finds the others.`;
}

function showTotal() {
  const chosen = [...quantities.values()];
  const total = chosen.reduce((sum, { product, quantity }) => sum + product.price * quantity, 0);
  by('total').textContent = chosen.length > 0 ? money(total, chosen[0].product.currency) : '–';
  by('place').disabled = chosen.length === 0;
}

function shown(id) {
  return (error) => {
    if (error.status === 401) return showSignIn();
    by(id).textContent = error.message;
  };
}

by('sign-in-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  by('sign-in-error').textContent = '';
  try {
    await session.signIn(form.get('tenant').trim(), form.get('email').trim(), form.get('password'));
    event.target.elements.namedItem('password').value = '';
    await showSignedIn();
    by('products-title').focus();
  } catch (error) {
    by('sign-in-error').textContent = error.message;
  }
});

by('sign-out').addEventListener('click', async () => {
  await session.signOut();
  showSignIn();
});

by('order-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const items = [...quantities.values()].map(({ product, quantity }) => ({
    product_id: product.id,
    quantity,
  }));
  by('order-error').textContent = '';
  by('order-placed').replaceChildren();
  by('place').disabled = true;
  try {
    const order = await api.placeOrder(items, orderKey);
    take(order);
    own(order.id);
    quantities.clear();
    orderKey = newKey();
    for (const input of by('products').querySelectorAll('input')) input.value = '';
    showOrders(order.id);
    showPlaced(order);
  } catch (error) {
    shown('order-error')(error);
  }
  showTotal();
});

/** Marks what belongs to an order of this page; its event may have come before the answer. */
function own(id) {
  ownIds.add(id);
  for (const item of by('events').querySelectorAll(`[data-order="${CSS.escape(id)}"]`)) {
    item.classList.add('own');
  }
}

/** Says so beside the button, with a way to the order, which on a phone is far below. */
function showPlaced({ id, total, currency }) {
  const find = () => by('orders').querySelector(`[data-order="${CSS.escape(id)}"]`);
  const show = () => {
    const item = find();
    item?.scrollIntoView({ block: 'center' });
    item?.focus({ preventScroll: true });
  };
  by('order-placed').replaceChildren(
    `Order ${shortId(id)} placed, ${money(total, currency)}. `,
    element('button', { type: 'button', class: 'link', onclick: show }, 'Show it'),
  );
  // Where the orders are beside the products nothing has to move but the list.
  if (matchMedia('(min-width: 62rem)').matches) find()?.scrollIntoView({ block: 'nearest' });
}

let typing;
by('search').addEventListener('input', ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => showProducts(target.value).catch(shown('order-error')), 200);
});
by('search').addEventListener('submit', (event) => event.preventDefault());

by('more').addEventListener('click', async () => {
  try {
    const page = await api.orders(older);
    for (const order of page.orders) take(order);
    older = page.next;
    showOrders();
  } catch (error) {
    shown('orders-error')(error);
  }
});

if (session.current()) void showSignedIn();
else showSignIn();
