/** The sockets for the AsyncAPI document: who says what, what is answered, and why one is closed. */
import type { Json } from './openapi.ts';
import {
  chatClientMessages,
  clientMessages,
  closeCodes,
  replies,
  serverMessages,
} from './socket-messages.ts';

type Socket = {
  address: string;
  title: string;
  /** What one says → what it is answered with. */
  said: Record<string, string[]>;
  told: string[];
  query: Json;
};

const done = ['ok', 'error'];
const doneInChat = ['ok', 'chatError'];
const live = Object.fromEntries(Object.keys(clientMessages).map((name) => [name, done]));
const told = Object.keys(serverMessages);
const ticket = {
  type: 'string',
  description: 'Of `POST /v1/auth/tickets`, where no header can be set: good once, within 30 s.',
};
const since = { type: 'string', description: 'A cursor: what came after it is sent first.' };

const sockets: Record<string, Socket> = {
  ws: {
    address: '/ws',
    title: 'One socket for all channels, subscribed to as one likes.',
    said: live,
    told,
    query: { ticket },
  },
  wsOrders: {
    address: '/ws/orders',
    title: 'The same, subscribed to `orders` from the start.',
    said: live,
    told,
    query: { ticket, since },
  },
  wsChat: {
    address: '/ws/chat',
    title: 'Questions to the assistant, and its answers as events.',
    said: {
      message: ['okMessage', 'chatError'],
      subscribeConversation: doneInChat,
      unsubscribeConversation: doneInChat,
      stop: ['okStop', 'chatError'],
      auth: doneInChat,
      ping: doneInChat,
    },
    // What was missed comes as events, without a word of its own.
    told: told.filter((name) => !['recovered', 'orderEvent', 'notificationEvent'].includes(name)),
    query: { ticket },
  },
};

export const socketMessages: Json = {
  ...clientMessages,
  ...chatClientMessages,
  ...replies,
  ...serverMessages,
};

const codes = closeCodes.map(([code, why, what]) => `| ${code} | ${why} | ${what} |`).join('\n');
const description = `JSON text, 64 KiB a frame, 200 subscriptions a connection. Browsers offer the sub-protocols \`ragline.v1.json\` and \`ragline.bearer.<access token>\`; without valid credentials the upgrade is answered 401.

| close code | why | what to do |
|---|---|---|
${codes}`;

export function socketChannels(): Json {
  const channels = Object.entries(sockets).map(([id, { address, title, said, told, query }]) => [
    id,
    {
      ...{ address, title: address, description: `${title}\n\n${description}` },
      servers: [{ $ref: '#/servers/gateway' }],
      messages: Object.fromEntries(
        [...told, ...new Set(Object.values(said).flat()), ...Object.keys(said)].map((name) => [
          name,
          { $ref: `#/components/messages/${name}` },
        ]),
      ),
      bindings: {
        ws: { method: 'GET', query: { type: 'object', properties: query }, bindingVersion: '0.1.0' },
      },
      'x-close-codes': closeCodes.map(([code, why, what]) => ({ code, why, what })),
    },
  ]);
  return Object.fromEntries(channels);
}

export function socketOperations(): Json {
  const operations = Object.entries(sockets).flatMap(([id, { address, said, told }]) => {
    const channel = { $ref: `#/channels/${id}` };
    const of = (names: string[]) => names.map((name) => ({ $ref: `#/channels/${id}/messages/${name}` }));
    const tags = [{ name: 'sockets' }];
    const pushed = {
      action: 'send',
      channel,
      messages: of(told),
      tags,
      summary: `What comes on ${address} by itself.`,
    };
    return [
      [`${id}_told`, pushed],
      ...Object.entries(said).map(([name, answers]) => [
        `${id}_${name}`,
        {
          ...{ title: name, action: 'receive', channel, messages: of([name]), tags },
          summary: summaryOf(name),
          reply: { channel, messages: of(answers) },
        },
      ]),
    ];
  });
  return Object.fromEntries(operations);
}

function summaryOf(name: string): unknown {
  const all: Record<string, { summary: string }> = { ...clientMessages, ...chatClientMessages };
  return all[name]?.summary;
}
