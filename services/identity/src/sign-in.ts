/** Signing in, and keeping signed in: passwords and refresh tokens in, token pairs out. */
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Principal } from '@ragline/web/principal';
import { type Problem, problem } from '@ragline/web/problems';
import { type AccessTokens, accessTokenSeconds } from './access-tokens.ts';
import { normalEmail, type User } from './domain.ts';
import type { LoginLimits } from './login-limits.ts';
import { hashPassword, type Verdict, verifyNobody, verifyPassword } from './passwords.ts';
import type { Revocations } from './revocations.ts';
import { secretShape } from './secrets.ts';
import type { Login, Opened, SessionRef, SessionStore } from './session-store.ts';
import type { Turns } from './turns.ts';

export const ticketSeconds = 30;

export type TokenPair = {
  access_token: string;
  token_type: 'Bearer';
  expires_in: number;
  refresh_token: string;
  user: User;
};
export type Credentials = { tenant: string; email: string; password: string };

export type SignInParts = {
  store: SessionStore;
  tokens: AccessTokens;
  limits: LoginLimits;
  turns: Turns;
  revocations: Revocations;
  log: Logger;
  metrics: Metrics;
};

export type SignIn = ReturnType<typeof signIn>;

export function signIn({ store, tokens, limits, turns, revocations, log, metrics }: SignInParts) {
  const logins = metrics.counter('ragline_logins_total', 'Sign-ins by outcome.', ['outcome']);
  const refreshes = metrics.counter('ragline_refreshes_total', 'Uses of refresh tokens by outcome.', [
    'outcome',
  ]);

  const pair = async (opened: Opened): Promise<TokenPair> => ({
    access_token: await accessToken(opened),
    token_type: 'Bearer',
    expires_in: accessTokenSeconds,
    refresh_token: opened.refresh_token,
    user: opened.user,
  });
  const accessToken = ({ user, session_id, issued_at }: Omit<Opened, 'refresh_token'>): Promise<string> =>
    tokens.issue({ user_id: user.id, tenant_id: user.tenant_id, roles: user.roles, session_id, issued_at });

  /** Counted within the turn, so that many attempts at once cannot all pass before the first has failed. */
  const attempt = async (credentials: Credentials, address: string): Promise<Login | undefined> => {
    const { tenant, password } = credentials;
    const email = normalEmail(credentials.email);
    const who = { tenant, email, address };
    return turns.run(async () => {
      await limits.check(who).catch((error: unknown) => {
        logins.inc({ outcome: 'limited' });
        throw error;
      });
      const login = await store.findLogin(tenant, email);
      const verdict = await verdictOn(password, login);
      if (login === undefined || !verdict.matches) {
        await limits.failed(who);
        return undefined;
      }
      await limits.succeeded(who);
      if (verdict.outdated) await store.rehash(login, await hashPassword(password));
      return login;
    });
  };

  return {
    /**
     * Throws Problem `unauthenticated`, the same one and after the same work whatever is wrong: tenant, user,
     * password or a user who is not active.
     */
    async login(credentials: Credentials, address: string): Promise<TokenPair> {
      const login = await attempt(credentials, address);
      const opened = login && (await store.open(login));
      logins.inc({ outcome: opened ? 'opened' : 'refused' });
      if (opened === undefined) throw wrongCredentials();
      return pair(opened);
    },

    /** Throws Problem `unauthenticated` for a token that is worth nothing; one used twice ends its session. */
    async refresh(token: string): Promise<TokenPair> {
      const result = secretShape.test(token)
        ? await store.refresh(token, await revocations.ready())
        : { kind: 'unknown' as const };
      refreshes.inc({ outcome: result.kind });
      if (result.kind === 'rotate' || result.kind === 'repeat') return pair(result);
      if (result.kind === 'reuse') log.warn('refresh token used again, session ended');
      throw problem('unauthenticated', 'The refresh token is not valid any more. Sign in again.');
    },

    /** Ends the session of an access token; once ended it stays so, whoever asks again. */
    async logout(principal: Principal): Promise<void> {
      await store.end(principal, 'logout', await revocations.ready());
    },

    /** Ends the session of a refresh token; one that nobody knows has no session, which is what was asked for. */
    async logoutByRefreshToken(token: string): Promise<void> {
      const session = secretShape.test(token) ? await store.sessionOf(token) : undefined;
      if (session !== undefined) await store.end(session, 'logout', await revocations.ready());
    },

    /** Throws Problem `unauthenticated` when the session has ended: the token may still look good. */
    async me(session: SessionRef): Promise<User & { tenant: string }> {
      const found = await store.userOf(session);
      if (found === undefined) throw sessionEnded();
      return { ...found.user, tenant: found.tenant_slug };
    },

    async ticket(session: SessionRef): Promise<{ ticket: string; expires_in: number }> {
      const ticket = await store.ticket(session, ticketSeconds);
      if (ticket === undefined) throw sessionEnded();
      return { ticket, expires_in: ticketSeconds };
    },

    /** The session's access token for a ticket, once. Throws Problem `unauthenticated`. */
    async redeem(ticket: string): Promise<{ access_token: string }> {
      const opened = secretShape.test(ticket) ? await store.redeem(ticket) : undefined;
      if (opened === undefined) throw problem('unauthenticated', 'The ticket is unknown, used or too old.');
      return { access_token: await accessToken(opened) };
    },
  };
}

/** The work of checking is done for nobody too: the time must not tell who is there. */
function verdictOn(password: string, login: Login | undefined): Promise<Verdict> {
  return login === undefined ? verifyNobody(password) : verifyPassword(password, login.password_hash);
}

const sessionEnded = (): Problem => problem('unauthenticated', 'This session has ended.');

function wrongCredentials(): Problem {
  return problem('unauthenticated', 'The tenant, the e-mail address or the password is wrong.');
}
