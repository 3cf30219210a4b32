/** The machine a command runs on: everything that `cli.ts` takes from the process, so that a test can be one. */
import { writeFileSync } from 'node:fs';
import { homedir, hostname, userInfo } from 'node:os';
import { type Clock, systemClock } from './clock.ts';

export interface Host {
  cwd: string;
  env: NodeJS.ProcessEnv;
  home: string;
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  clock: Clock;
  random: (bytes: number) => Uint8Array;
  /** `machine:user`; inside GitHub Actions the run is the owner instead. */
  machine: string;
  pid: number;
  isAlive: (pid: number) => boolean;
  /** Called at every step boundary; nothing outside crash tests. */
  failpoint: (name: string) => Promise<void>;
  /** Calls back at the first request to stop (SIGINT, SIGTERM). */
  onStop: (stop: () => void) => void;
}

export function systemHost(): Host {
  return {
    cwd: process.cwd(),
    env: process.env,
    home: homedir(),
    // opened when somebody first reads or writes: that takes milliseconds
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
    clock: systemClock,
    // loaded by those who draw: that takes milliseconds too
    random: (bytes) => process.getBuiltinModule('node:crypto').randomBytes(bytes),
    machine: `${hostname()}:${userName()}`,
    pid: process.pid,
    isAlive: (pid) => {
      try {
        process.kill(pid, 0);
        return true;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'EPERM';
      }
    },
    failpoint: async () => undefined,
    onStop: (stop) => {
      process.once('SIGINT', stop);
      process.once('SIGTERM', stop);
    },
  };
}

/**
 * A core dump of this process and of its children holds no memory, where the system lets a process say so (Linux):
 * values would be in it. Elsewhere `ulimit -c 0` does it.
 */
export function dumpNoMemory(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // no such system
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'user');
  }
}
