import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What one command printed and how it ended. */
export interface Ran {
  code: number;
  stdout: string;
}

const template = dirname(fileURLToPath(import.meta.url));
const cli = join(template, '..', '..', 'src', 'cli.ts');
const colors = process.stdout.isTTY === true && !process.env.NO_COLOR;

/**
 * A scratch machine: its own home, a bare remote and a clone of it, all in one folder. Commands run there see
 * nothing of the user's configuration or environment.
 */
export class Stage {
  readonly remote: string;
  readonly repo: string;
  readonly home: string;
  private readonly scratch: string;

  /** `scratch` is an empty folder that somebody else removes. */
  constructor(scratch: string) {
    this.scratch = scratch;
    this.remote = join(scratch, 'remote.git');
    this.repo = join(scratch, 'clone');
    this.home = join(scratch, 'home');
    mkdirSync(this.home, { mode: 0o700 });
    mkdirSync(this.repo);
  }

  /** A remote with one commit: the manifests of this folder, `fill` changing the text of each. */
  commitManifests(files: readonly string[], fill: (file: string, text: string) => string): void {
    const git = (...args: string[]) => this.git(...args);
    writeFileSync(join(this.home, '.gitconfig'), '[user]\n  name = you\n  email = you@example.org\n');
    execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', this.remote], this.options());
    execFileSync('git', ['init', '--quiet', '--initial-branch=main', this.repo], this.options());
    git('remote', 'add', 'origin', this.remote);
    for (const file of files) {
      const to = join(this.repo, file);
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, fill(file, readFileSync(join(template, file), 'utf8')));
    }
    git('add', '.');
    git('commit', '--quiet', '--message', 'Declare rotated secrets');
    git('push', '--quiet', 'origin', 'main');
  }

  /** Output of a git command in the clone; throws when it fails. */
  git(...args: string[]): string {
    return execFileSync('git', args, { ...this.options(), cwd: this.repo, encoding: 'utf8' });
  }

  /** What the remote's branch points at, asked of the remote itself. */
  remoteTip(): string {
    return execFileSync('git', ['--git-dir', this.remote, 'rev-parse', 'main'], {
      ...this.options(),
      encoding: 'utf8',
    });
  }

  /** The recipient that an identity file says of itself. */
  recipientOf(file: string): string {
    return /age1[a-z0-9]{58}/.exec(readFileSync(file, 'utf8'))?.[0] ?? '';
  }

  /** Every byte that the remote holds, in any commit. */
  everythingPushed(): string {
    const args = ['--git-dir', this.remote, 'cat-file', '--batch', '--batch-all-objects'];
    return execFileSync('git', args, { ...this.options(), maxBuffer: 2 ** 28 }).toString('latin1');
  }

  /** `keyturn` with these arguments in the clone, printed as one would type it, then what it says. */
  keyturn(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
    const words = args.map((arg) => (/[^\w./~:=-]/.test(arg) ? `'${arg}'` : arg));
    this.print(`$ keyturn ${words.join(' ')}`.replaceAll(this.home, '~'), '36');
    const child = spawn(process.execPath, [cli, ...args], {
      cwd: this.repo,
      env: { ...this.options().env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let last = '\n';
    const show = (text: string) => {
      last = text;
      process.stdout.write(text.replaceAll(this.home, '~'));
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      show(text);
    });
    child.stderr.setEncoding('utf8').on('data', show);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        if (!last.endsWith('\n')) process.stdout.write('\n');
        resolve({ code: code ?? 1, stdout });
      });
    });
  }

  /** One sentence before a step. */
  say(sentence: string): void {
    process.stdout.write('\n');
    this.print(`# ${sentence}`, '1');
  }

  print(line: string, style = ''): void {
    process.stdout.write(colors && style !== '' ? `\u001b[${style}m${line}\u001b[0m\n` : `${line}\n`);
  }

  private options() {
    const { PATH, LANG, TERM } = process.env;
    return {
      env: {
        ...(PATH === undefined ? {} : { PATH }),
        ...(LANG === undefined ? {} : { LANG }),
        ...(TERM === undefined ? {} : { TERM }),
        TMPDIR: join(this.scratch, 'tmp'),
        HOME: this.home,
        XDG_CONFIG_HOME: join(this.home, '.config'),
        XDG_CACHE_HOME: join(this.home, '.cache'),
        GIT_CONFIG_NOSYSTEM: '1',
        ...(colors ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }),
      },
    };
  }
}
