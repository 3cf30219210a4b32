/** The application's own users, in SQLite. A user may have a former password beside the present one. */
import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import type { Answers } from 'keyturn/rotator';

export class UserStore {
  private readonly db: DatabaseSync;

  constructor(file: string) {
    this.db = new DatabaseSync(file);
    this.db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, present TEXT NOT NULL, former TEXT);
      CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answered TEXT NOT NULL, at INTEGER NOT NULL);
    `);
  }

  /** What was answered, for two days, beside the users, so that one transaction holds both. */
  readonly answers: Answers = {
    read: (key) => {
      const row = this.db.prepare('SELECT answered FROM answers WHERE key = ?').get(key);
      return row === undefined ? undefined : JSON.parse(String(row.answered));
    },
    write: (key, answered) => {
      this.db.prepare('DELETE FROM answers WHERE at < unixepoch() - 2 * 86400').run();
      this.db.prepare('INSERT INTO answers VALUES (?, ?, unixepoch())').run(key, JSON.stringify(answered));
      return undefined;
    },
  };

  transaction<T>(work: () => T): T {
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.db.exec('COMMIT');
      return result;
    } catch (error) {
      this.db.exec('ROLLBACK');
      throw error;
    }
  }

  create(name: string, password: string): void {
    this.db.prepare('INSERT OR REPLACE INTO users VALUES (?, ?, NULL)').run(name, hashOf(password));
  }

  has(name: string): boolean {
    return this.row(name) !== undefined;
  }

  /** Which of a user's passwords this is. */
  login(name: string, password: string): 'present' | 'former' | 'refused' {
    const row = this.row(name);
    if (row !== undefined && isFor(password, row.present)) return 'present';
    return row?.former && isFor(password, row.former) ? 'former' : 'refused';
  }

  setPassword(name: string, password: string, keepFormer: boolean): void {
    if (this.login(name, password) === 'present') return;
    this.db
      .prepare(`UPDATE users SET former = ${keepFormer ? 'present' : 'NULL'}, present = ? WHERE name = ?`)
      .run(hashOf(password), name);
  }

  endFormer(name: string): void {
    this.db.prepare('UPDATE users SET former = NULL WHERE name = ?').run(name);
  }

  close(): void {
    this.db.close();
  }

  private row(name: string): { present: string; former: string | null } | undefined {
    const row = this.db.prepare('SELECT present, former FROM users WHERE name = ?').get(name);
    return row as { present: string; former: string | null } | undefined;
  }
}

/** Cheap parameters: these are long random passwords, and logging in is what this example does all day. */
const derive = (password: string, salt: Buffer): Buffer => scryptSync(password, salt, 32, { N: 1024 });

function hashOf(password: string): string {
  const salt = randomBytes(16);
  return `${salt.toString('base64')}:${derive(password, salt).toString('base64')}`;
}

function isFor(password: string, hash: string): boolean {
  const [salt = '', derived = ''] = hash.split(':').map((part) => Buffer.from(part, 'base64'));
  return timingSafeEqual(derive(password, Buffer.from(salt)), Buffer.from(derived));
}
