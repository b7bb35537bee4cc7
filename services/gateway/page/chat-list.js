/** The list of conversations, newest first. */
import * as api from './chat-api.js';
import { conversationItem } from './chat-view.js';

const by = (id) => document.getElementById(id);

/** @param {{ onOpen: (id: string) => void, onError: (error: Error) => void }} options */
export function createList({ onOpen, onError }) {
  let conversations = [];
  let older;
  let current;

  function show(id = current) {
    current = id;
    const isFocused = by('conversations').contains(document.activeElement);
    by('conversations').replaceChildren(
      ...conversations.map((it) =>
        conversationItem(it, { isCurrent: it.id === current, onOpen: () => onOpen(it.id) }),
      ),
    );
    if (isFocused) by('conversations').querySelector('[aria-current]')?.focus();
    by('older').hidden = !older;
    by('talk-title').textContent = titleOf(current) ?? 'The assistant';
  }

  const titleOf = (id) => conversations.find((it) => it.id === id)?.title;

  /** @param {string | undefined} cursor of what is older than the last that is shown; without it, the list anew */
  async function read(cursor) {
    const page = await api.conversations(cursor);
    conversations = cursor ? [...conversations, ...page.data] : page.data;
    older = page.next_cursor;
    show();
  }

  by('older').addEventListener('click', () => void read(older).catch(onError));

  return {
    read: () => read(),
    show,
    titleOf,
    add(opened) {
      conversations = [opened, ...conversations];
    },
    clear() {
      conversations = [];
      older = undefined;
    },
  };
}
