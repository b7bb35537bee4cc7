/** The chapters of the OpenAPI document, in the order in which one needs them. */
export const tagDescriptions: Record<string, string> = {
  identity:
    'Signing in: access tokens of 15 min, refresh tokens that rotate, tickets for sockets and streams.',
  users: 'Who belongs to the tenant, and what each may do. For admins.',
  tenants: 'The houses that share this installation. For operators.',
  catalogue: 'What can be ordered, and the promotions on it.',
  orders: 'Quotes, orders, their steps and their history.',
  live: 'What happens, as it happens, by server-sent events. The sockets are in /asyncapi.json.',
  notifications: 'What a user was told, and wants to be told of.',
  webhooks:
    'Events delivered to addresses of yours, signed by the Standard Webhooks specification. For admins.',
  chat: 'Conversations with the assistant: questions, answers as streams, approvals. And the tools that it has.',
  knowledge: 'What the assistant knows: documents, searches, embedding models.',
  openai: 'The assistant for clients of OpenAI’s protocol.',
  'dead letters': 'Records that a consumer group gave up on: read, mended, replayed or discarded.',
  system: 'How the whole stands, and the path of one event through it.',
};
