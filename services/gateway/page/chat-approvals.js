/** Offers to order: the card that asks, the customer's word, and what became of it. */
import * as api from './chat-api.js';

/**
 * @param {{ place: () => { id: string, talk: object, isHere: () => boolean }, onChange: () => void,
 *   onDecided: () => void, onSignedOut: () => void }} options `place`: the conversation that is shown now
 */
export function createApprovals({ place, onChange, onDecided, onSignedOut }) {
  const messageOf = (approvalId) =>
    place()
      .talk.all()
      .find(({ approval }) => approval?.approval_id === approvalId);

  /** An offer that was made before this page was opened, or what became of one. */
  async function read(message, isFailed = false) {
    const { id, isHere } = place();
    const { approval_id } = message;
    const found = await api.approval(id, approval_id).catch(() => undefined);
    if (!isHere() || !found?.quote) return;
    // Approved, and not carried out: it may be approved again.
    const state = isFailed && found.state === 'approved' ? 'pending' : found.state;
    message.approval = { approval_id, quote: found.quote, state };
    onChange();
  }

  return {
    /** Shows the card of the newest offer among messages that were read. */
    async readNewest(rows) {
      const offers = rows.filter(({ role, approval_id }) => role === 'assistant' && approval_id);
      const last = offers.at(-1);
      const newest = last?.approval_id;
      // The answer that made the offer comes first; what was said after the decision names it too.
      const made = offers.find(({ approval_id }) => approval_id === newest);
      if (made) await read(place().talk.get(made.id), last !== made && last.state === 'failed');
    },

    /** What was approved and could not be carried out may be approved again; else the card says what became of it. */
    afterDecision({ event_type, message }) {
      const asked = message && messageOf(message.approval_id);
      if (!asked || asked.id === message.id) return;
      if (event_type === 'message_failed' && asked.approval.state !== 'rejected')
        asked.approval.state = 'pending';
      else if (event_type === 'message_completed') void read(asked);
    },

    async decide(approvalId, decision) {
      const approval = messageOf(approvalId)?.approval;
      if (!approval) return;
      approval.state = 'deciding';
      approval.error = undefined;
      onChange();
      try {
        await api.decide(place().id, approvalId, decision);
        approval.state = decision === 'approve' ? 'approved' : 'rejected';
      } catch (error) {
        if (error.status === 401) return onSignedOut();
        approval.state = error.code === 'conflict' ? 'expired' : 'pending';
        approval.error = error.message;
      }
      onChange();
      onDecided();
    },
  };
}
