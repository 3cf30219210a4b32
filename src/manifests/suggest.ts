import { distance } from 'fastest-levenshtein';

/** How many letters may be wrong in a word: a third of them, and in short ones two, so that a swap counts. */
const tolerance = (length: number): number =>
  Math.max(Math.min(2, Math.ceil(length / 2)), Math.floor(length / 3));

/** The candidate that `word` was probably meant to be. */
export function closestTo(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = tolerance(word.length) + 1;
  for (const candidate of candidates) {
    if (candidate.toLowerCase() === word.toLowerCase()) return candidate;
    if (Math.abs(candidate.length - word.length) >= least) continue;
    const far = distance(word.toLowerCase(), candidate.toLowerCase());
    if (far < least) [best, least] = [candidate, far];
  }
  return best;
}

/** `did you mean "x"?`, else `otherwise`. */
export function didYouMean(word: string, candidates: Iterable<string>, otherwise: string): string {
  const meant = closestTo(word, candidates);
  return meant === undefined ? otherwise : `did you mean "${meant}"?`;
}
