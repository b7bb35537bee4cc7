/** A model that is not told what it need not know: personal data in what a customer wrote. */
import type { ChatMessage, Model } from '../model/model.ts';
import { maskPii, type PiiOptions } from './pii.ts';

/** The same model; of the messages of users it sees no e-mail addresses, cards, IBANs and phone numbers. */
export function maskedModel(model: Model, options: PiiOptions): Model {
  return {
    ...model,
    async *stream(request) {
      const messages: ChatMessage[] = [];
      for (const message of request.messages) {
        const isUsers = message.role === 'user';
        messages.push(isUsers ? { ...message, content: await maskPii(message.content, options) } : message);
      }
      yield* model.stream({ ...request, messages });
    },
  };
}
