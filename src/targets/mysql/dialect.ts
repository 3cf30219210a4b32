/** What differs between Oracle's MySQL and MariaDB: how an account is read, marked, changed and retired. */
import type { RotationJob } from '../driver.ts';
import type { Session } from './connect.ts';
import type { AccountName } from './sql.ts';

export type Verdict = 'applied' | 'not-applied' | 'unknown';

/** What the administrative login can see of an account; never a value. */
export interface Sight {
  /** `hidden`: this login may not look. */
  account: 'there' | 'missing' | 'hidden';
  /** Ways to log in; empty when hidden. */
  plugins: string[];
  /** MySQL: the mark that the last change left. */
  mark: RotationJob['mark'] | undefined;
  /** MariaDB: what is stored for each way to log in, in the order of `plugins`. */
  hashes: string[];
  /** Failed logins that block the account; undefined where there is no such limit or it is hidden. */
  failedLoginLimit: number | undefined;
  /** MySQL: only an administrator with SYSTEM_USER may change it. */
  systemUser: boolean;
}

export interface Server {
  version: string;
  /** MariaDB's `password_reuse_check`: a value can never be set again, not even to keep it. */
  remembers: boolean;
  currentUser: string;
  /** `super`: no privilege writes. */
  readOnly: 'no' | 'yes' | 'super';
  /** Set for every account of the server, as MariaDB does. */
  failedLoginLimit: number | undefined;
}

export interface Dialect {
  readonly product: 'MySQL' | 'MariaDB';
  /** Privileges of which one is enough to change an account while the server is read-only. */
  readonly writesWhenReadOnly: string[];
  /** Why this version cannot be used; undefined if it can. */
  tooOld(version: string): string | undefined;
  /** Ways to log in that keyturn can both set and verify. */
  readonly plugins: readonly string[];
  /** As the session first saw it: a server that turns read-only, or gets a plugin, refuses the change itself. */
  server(session: Session): Promise<Server>;
  /** `own`: the session is the account's own. */
  look(session: Session, account: AccountName, own: boolean): Promise<Sight>;
  baseline(sight: Sight): Record<string, string>;
  verdict(sight: Sight, value: string, job: RotationJob, baseline: Record<string, string>): Verdict;
  /** The privilege with which an account may keep its own old value; undefined if none lets it. */
  readonly selfRetain: 'APPLICATION_PASSWORD_ADMIN' | undefined;
  /** A second run with RETAIN would kill the value that is kept (T3): never without looking. */
  readonly retainLooksFirst: boolean;
  /** The one statement that makes `value` live. */
  change(session: Session, job: RotationJob, account: AccountName, value: string): Promise<string>;
  /** The statement after which only `live` is accepted; `done` if nothing else is; or why it must not be. */
  retire(
    session: Session,
    job: RotationJob,
    account: AccountName,
    live: string,
    sight: Sight,
  ): Promise<{ sql: string } | 'done' | { no: string }>;
}

/** Alternating users overlap by being two; keeping two values on one of them would only add an old one. */
export const isAlternating = (job: RotationJob): boolean => job.account.usernames.length === 2;

export const keepsCurrent = (job: RotationJob): boolean => job.retain && !isAlternating(job);

/** Rows of a table that this login may not read give `undefined`; every other failure is thrown. */
export async function readable(
  session: Session,
  sql: string,
): Promise<Record<string, unknown>[] | undefined> {
  try {
    return await session.query(sql);
  } catch (error) {
    const { errno } = error as { errno?: number };
    if (errno === 1142 || errno === 1044 || errno === 1143 || errno === 1227) return undefined;
    throw error;
  }
}

/** A JSON column or text, as an object; anything else is empty. */
export function jsonOf(value: unknown): Record<string, unknown> {
  const parsed: unknown = typeof value === 'string' ? safeParse(value) : value;
  return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : {};
}

function safeParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
