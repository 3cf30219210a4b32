/** A real database server that belongs to one test file (or to one script): its own data, port and log. */
export interface DatabaseServer {
  readonly kind: 'mysql' | 'mariadb' | 'postgresql';
  /** Always a loopback address. */
  readonly host: string;
  readonly port: number;
  /** May do everything; never the account under test. */
  readonly adminUser: string;
  readonly adminPassword: string;
  /** Everything that the server logs, statements included: what a canary scan reads. */
  readonly logFile: string;
  /** PEM of the CA that signed the server's certificate; absent where the server speaks no TLS. */
  readonly caPem?: string;
  /** Runs one statement as the administrator. */
  query(sql: string): Promise<Record<string, unknown>[]>;
  /** Ends the process and removes every file. May be called twice. */
  stop(): Promise<void>;
}
