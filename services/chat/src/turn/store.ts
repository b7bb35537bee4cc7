/** What workers read and write of turns. Every write says under which generation it is made. */
import { type Client, inTenant, inTransaction, type Pool } from '@ragline/postgres/pool';
import { CutError, type Message, type Turn, type TurnState } from '../domain.ts';
import { type MessageRow, messageColumns, messageOf } from './message-row.ts';

/** A question and its answer, as they are shown to the model again; an approval has no question. */
export type PastTurn = { turn_id: string; position: number; question: string | null; answer: string };

export type Claim =
  /** The turn is ours, under its new generation. */
  | { kind: 'claimed'; turn: Turn; question: string; history: History }
  /** It has come to an end before; the end can be told again. */
  | { kind: 'ended'; turn: Turn; answer: Message; sequence: number }
  /** There is no such turn that could be claimed: it is not to be seen yet, or its conversation was erased. */
  | { kind: 'gone' };

export type History = {
  summary: string | null;
  /** Up to which position the summary goes. */
  summary_upto: number;
  /** What came after the summary, oldest first, at most historyMax turns. */
  turns: PastTurn[];
};

/** How an answer is kept. */
export type KeptAnswer = Pick<
  Message,
  'content' | 'citations' | 'approval_id' | 'model' | 'usage' | 'latency' | 'context'
> & {
  state: Extract<TurnState, 'completed' | 'failed' | 'stopped'>;
  prompt_hash: string | null;
  error_code: string | null;
  /** Of the event that ends the turn. */
  sequence: number;
};

export type Watched = { id: string; generation: number; isOpen: boolean; isStopWanted: boolean };

/** A turn that nobody works on any more. */
export type Stale = { id: string; tenant_id: string };

export type TurnStore = ReturnType<typeof turnStore>;

const historyMax = 40;

const turnColumns = `id, conversation_id, tenant_id, user_id, roles, kind, message_id, answer_id, approval_id, state,
  generation, error_code, stop_requested_at, requested_at`;

export function turnStore(pool: Pool) {
  return {
    /** Makes the turn this worker's: from now on what an older one writes changes nothing. */
    claim(tenantId: string, turnId: string, worker: string): Promise<Claim> {
      return inTenant(pool, tenantId, async (client): Promise<Claim> => {
        for (;;) {
          const { rows } = await client.query<Turn & { question: string }>({
            name: 'chat_claim_turn',
            text: claimSql,
            values: [tenantId, turnId, worker],
          });
          const [claimed] = rows;
          if (claimed !== undefined) {
            const { question, ...turn } = claimed;
            return { kind: 'claimed', turn, question, history: await readHistory(client, turn) };
          }
          const found = await readEnded(client, tenantId, turnId);
          // An open one was committed, or opened again, between the two looks.
          if (found !== 'open') return found;
        }
      });
    },

    /** Keeps how the turn ended, in the caller's transaction. Throws CutError when another worker has it. */
    async finish(
      client: Client,
      turn: Pick<Turn, 'id' | 'tenant_id' | 'answer_id'> & { generation: number },
      kept: KeptAnswer,
    ): Promise<Message> {
      const { rows } = await client.query<MessageRow>({
        name: 'chat_finish_turn',
        text: finishSql,
        values: [
          turn.tenant_id,
          turn.id,
          turn.generation,
          turn.answer_id,
          kept.state,
          kept.error_code,
          kept.sequence,
          kept.content,
          JSON.stringify(kept.citations),
          kept.approval_id,
          kept.model,
          kept.prompt_hash,
          jsonOf(kept.usage),
          jsonOf(kept.latency),
          jsonOf(kept.context),
        ],
      });
      const [row] = rows;
      if (row === undefined) throw new CutError('superseded');
      return messageOf(row);
    },

    /** How turns stand that run here; those that are gone are left out. */
    watch(turnIds: readonly string[]): Promise<Watched[]> {
      return asOperator(pool, async (client) => {
        const { rows } = await client.query<Watched>({
          name: 'chat_watch_turns',
          text: `SELECT id, generation, state IN ('requested', 'running') AS "isOpen",
                        stop_requested_at IS NOT NULL AS "isStopWanted"
                   FROM chat.turn WHERE id = ANY($1)`,
          values: [turnIds],
        });
        return rows;
      });
    },

    /**
     * Turns that nobody works on any more, oldest first.
     *
     * @param requestedMs how long a turn may wait to be begun
     * @param runningMs how long it may run
     */
    stale({ requestedMs, runningMs }: { requestedMs: number; runningMs: number }): Promise<Stale[]> {
      return asOperator(pool, async (client) => {
        const { rows } = await client.query<Stale>({
          name: 'chat_stale_turns',
          text: `SELECT id, tenant_id FROM chat.turn
                  WHERE state IN ('requested', 'running')
                    AND coalesce(started_at + make_interval(secs => $2), requested_at + make_interval(secs => $1)) < now()
                  ORDER BY requested_at LIMIT 100`,
          values: [requestedMs / 1_000, runningMs / 1_000],
        });
        return rows;
      });
    },

    /**
     * Gives up a turn that is stale still: takes it under a generation of its own, and calls `tell` before it commits,
     * so that no turn ends in silence. `tell` may write in the same transaction. False when it was not stale any more.
     */
    giveUp(
      { id, tenant_id }: Stale,
      limits: { requestedMs: number; runningMs: number },
      errorCode: string,
      tell: (turn: Turn, answer: Message, client: Client) => Promise<void>,
    ): Promise<boolean> {
      return inTenant(pool, tenant_id, async (client) => {
        const { rows } = await client.query<Turn>({
          name: 'chat_give_up_turn',
          text: `UPDATE chat.turn
                    SET generation = generation + 1, state = 'failed', error_code = $3, end_sequence = 1,
                        finished_at = clock_timestamp()
                  WHERE tenant_id = $1 AND id = $2 AND state IN ('requested', 'running')
                    AND coalesce(started_at + make_interval(secs => $5), requested_at + make_interval(secs => $4)) < now()
              RETURNING ${turnColumns}`,
          values: [tenant_id, id, errorCode, limits.requestedMs / 1_000, limits.runningMs / 1_000],
        });
        const [turn] = rows;
        if (turn === undefined) return false;
        const { rows: answers } = await client.query<MessageRow>({
          name: 'chat_give_up_answer',
          text: `UPDATE chat.message SET state = 'failed', error_code = $3, completed_at = clock_timestamp()
                  WHERE tenant_id = $1 AND id = $2 RETURNING ${messageColumns}`,
          values: [tenant_id, turn.answer_id, errorCode],
        });
        const [answer] = answers;
        if (answer !== undefined) await tell(turn, messageOf(answer), client);
        return true;
      });
    },
  };
}

// What failed by our fault may be tried again: its record comes back when the dead letter is replayed.
const claimSql = `
  WITH turn AS (
    UPDATE chat.turn
       SET generation = generation + 1, state = 'running', worker = $3, started_at = clock_timestamp(),
           error_code = NULL, finished_at = NULL
     WHERE tenant_id = $1 AND id = $2
       AND (state IN ('requested', 'running') OR state = 'failed' AND error_code = 'internal_error')
    RETURNING ${turnColumns}
  ),
  answer AS (
    UPDATE chat.message m SET state = 'running', content = '', citations = '[]', error_code = NULL, completed_at = NULL
      FROM turn WHERE m.tenant_id = $1 AND m.id = turn.answer_id
  )
  SELECT turn.*, coalesce(q.content, '') AS question
    FROM turn LEFT JOIN chat.message q ON q.tenant_id = $1 AND q.id = turn.message_id`;

const finishSql = `
  WITH turn AS (
    UPDATE chat.turn SET state = $5, error_code = $6, end_sequence = $7, finished_at = clock_timestamp()
     WHERE tenant_id = $1 AND id = $2 AND generation = $3 AND state = 'running'
    RETURNING id
  )
  UPDATE chat.message m
     SET state = $5, error_code = $6, content = $8, citations = $9, approval_id = coalesce($10, m.approval_id),
         model = $11, prompt_hash = $12, usage = $13, latency = $14, context = $15, completed_at = clock_timestamp()
    FROM turn WHERE m.tenant_id = $1 AND m.id = $4 AND m.turn_id = turn.id
  RETURNING ${messageColumns
    .split(', ')
    .map((column) => `m.${column}`)
    .join(', ')}`;

async function readEnded(client: Client, tenantId: string, turnId: string): Promise<Claim | 'open'> {
  const { rows } = await client.query<Turn & { end_sequence: number | null }>({
    name: 'chat_ended_turn',
    text: `SELECT ${turnColumns}, end_sequence FROM chat.turn WHERE tenant_id = $1 AND id = $2`,
    values: [tenantId, turnId],
  });
  const [found] = rows;
  if (found === undefined) return { kind: 'gone' };
  if (found.state === 'requested' || found.state === 'running') return 'open';
  const { end_sequence, ...turn } = found;
  const { rows: answers } = await client.query<MessageRow>({
    name: 'chat_message',
    text: `SELECT ${messageColumns} FROM chat.message WHERE tenant_id = $1 AND id = $2`,
    values: [tenantId, turn.answer_id],
  });
  const [answer] = answers;
  if (answer === undefined) return { kind: 'gone' };
  return { kind: 'ended', turn, answer: messageOf(answer), sequence: end_sequence ?? 1 };
}

async function readHistory(client: Client, turn: Turn): Promise<History> {
  const { rows } = await client.query<{ summary: string | null; summary_upto: number }>({
    name: 'chat_summary',
    text: 'SELECT summary, summary_upto FROM chat.conversation WHERE tenant_id = $1 AND id = $2',
    values: [turn.tenant_id, turn.conversation_id],
  });
  const { summary = null, summary_upto = 0 } = rows[0] ?? {};
  const turns = await readTurns(client, turn, summary_upto);
  return { summary, summary_upto, turns };
}

/** Turns that came to an answer, between the position and the turn; the newest of them, oldest first. */
export async function readTurns(
  client: Client,
  { tenant_id, conversation_id, answer_id }: Pick<Turn, 'tenant_id' | 'conversation_id' | 'answer_id'>,
  after: number,
): Promise<PastTurn[]> {
  const { rows } = await client.query<PastTurn>({
    name: 'chat_past_turns',
    text: `SELECT a.turn_id, a.position, q.content AS question, a.content AS answer
             FROM chat.message a
             LEFT JOIN chat.message q
               ON q.conversation_id = a.conversation_id AND q.turn_id = a.turn_id AND q.role = 'user'
            WHERE a.tenant_id = $1 AND a.conversation_id = $2 AND a.role = 'assistant' AND a.position > $3
              AND a.position < (SELECT position FROM chat.message WHERE tenant_id = $1 AND id = $4)
              AND a.state IN ('completed', 'stopped') AND a.content <> ''
            ORDER BY a.position DESC LIMIT $5`,
    values: [tenant_id, conversation_id, after, answer_id, historyMax],
  });
  return rows.reverse();
}

/** Sees the turns of all tenants, and may change none. */
function asOperator<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (client) => {
    await client.query("SELECT set_config('ragline.scope', 'operator', true)");
    return work(client);
  });
}

const jsonOf = (value: unknown) => (value === null ? null : JSON.stringify(value));
