import { KeyturnError, ManyErrors } from '../errors.ts';
import type { Source } from './model.ts';

interface Problem {
  at: Source;
  error: KeyturnError;
}

/** Everything wrong with the manifests, collected so that people see it in one go. */
export class Problems {
  readonly #all: Problem[] = [];

  get empty(): boolean {
    return this.#all.length === 0;
  }

  /** `file:line:col: subject: what`; once, where a document stands for several subjects. Neither may hold anything that could be a value. */
  add(at: Source, subject: string, what: string, hint: string): void {
    const place = `${at.file}:${at.line}:${at.column}`;
    const again = ({ at: other, error }: Problem): boolean =>
      other.file === at.file &&
      other.line === at.line &&
      other.column === at.column &&
      error.what === what &&
      error.hint === hint;
    if (this.#all.some(again)) return;
    this.#all.push({ at, error: new KeyturnError(`${place}: ${subject}`, what, { hint }) });
  }

  /** Throws ManyErrors, sorted by file, line and column, if there is any. */
  throwIfAny(): void {
    if (this.#all.length === 0) return;
    const byPlace = this.#all.toSorted(
      (a, b) =>
        (a.at.file === b.at.file ? 0 : a.at.file < b.at.file ? -1 : 1) ||
        a.at.line - b.at.line ||
        a.at.column - b.at.column,
    );
    throw new ManyErrors(byPlace.map((problem) => problem.error));
  }
}
