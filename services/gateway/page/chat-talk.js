/** What was said, as it is known: from REST, and brought up to date by events. No DOM here. */

const open = new Set(['pending', 'running']);
const ends = {
  message_completed: 'completed',
  message_stopped: 'stopped',
  message_failed: 'failed',
};

export const isOpen = (message) => message.role === 'assistant' && open.has(message.state);

export function createTalk() {
  /** Messages by id. */
  const messages = new Map();

  function take(row) {
    const known = messages.get(row.id);
    // While it streams, what came as events is further than what was read.
    if (known !== undefined && open.has(row.state)) return;
    messages.set(row.id, { tools: [], approval: undefined, generation: 0, sequence: 0, ...known, ...row });
  }

  return {
    /** In the order in which they were said. */
    all: () => [...messages.values()].sort(inOrder),
    get: (id) => messages.get(id),
    take,
    /**
     * Brings the answer up to date that an event is about; undefined when the event is older than what is known.
     * An answer that nobody has heard of yet is made, with `isNew`.
     */
    apply(event) {
      const known = messages.get(event.message_id);
      const message = known ?? answerOf(event);
      if (isOld(message, event)) return undefined;
      messages.set(message.id, message);
      if (event.event_type === 'approval_required') replaceOffers(messages.values());
      advance(message, event);
      return { message, isNew: known === undefined };
    },
  };
}

/** Ids of turns are in the order of time; within a turn the question comes first. */
function inOrder(a, b) {
  if (a.turn_id !== b.turn_id) return a.turn_id < b.turn_id ? -1 : 1;
  return (a.role === 'user' ? 0 : 1) - (b.role === 'user' ? 0 : 1);
}

function answerOf({ message_id, turn_id, occurred_at }) {
  const nothing = {
    content: '',
    citations: [],
    tools: [],
    approval: undefined,
    approval_id: null,
    model: null,
  };
  const at = { generation: 0, sequence: 0, created_at: occurred_at };
  return {
    id: message_id,
    turn_id,
    role: 'assistant',
    state: 'running',
    error_code: null,
    ...nothing,
    ...at,
  };
}

/** A newer offer takes the place of one that still waits. */
function replaceOffers(messages) {
  for (const { approval } of messages) if (approval?.state === 'pending') approval.state = 'replaced';
}

/** Sends may repeat, and a worker that was taken for dead may still speak for a moment. */
function isOld(message, { generation, sequence }) {
  if (generation !== message.generation) return generation < message.generation;
  return sequence <= message.sequence;
}

function advance(message, event) {
  if (event.generation > message.generation) startAnew(message);
  // Who comes in the middle says so; the end brings the whole.
  if (message.sequence === 0 && event.sequence > 1 && message.content === '') message.content = '… ';
  message.generation = event.generation;
  message.sequence = event.sequence;
  const end = ends[event.event_type];
  if (end !== undefined) return finish(message, event, end);
  message.state = 'running';
  switch (event.event_type) {
    case 'message_delta':
      message.content += event.text;
      return;
    case 'citation': {
      const { index, title, source, document_id } = event;
      message.citations.push({ index, title, source, document_id });
      return;
    }
    case 'tool_started':
      message.tools.push({ call_id: event.call_id, tool: event.tool, state: 'running' });
      return;
    case 'tool_finished': {
      const call = message.tools.find((it) => it.call_id === event.call_id && it.state === 'running');
      if (call) call.state = event.ok ? 'done' : 'failed';
      return;
    }
    case 'approval_required':
      message.approval = { approval_id: event.approval_id, quote: event.quote, state: 'pending' };
      return;
    default:
  }
}

/** Another worker begins again: what was said so far is not its answer. */
function startAnew(message) {
  message.content = '';
  message.citations = [];
  message.tools = [];
  message.approval = undefined;
  message.sequence = 0;
}

function finish(message, event, state) {
  const { approval } = message;
  Object.assign(message, event.message, { state, approval });
  if (event.code) message.error_code = event.code;
}
