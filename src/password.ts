/**
 * Drawing values (protocol §6): uniform over everything that the policy and the target's constraints allow, by
 * rejection, never by placing a character. The shapes are those of a manifest's policy and a driver's constraints.
 */
import { KeyturnError } from './errors.ts';
import { Secret } from './secret.ts';

export interface Policy {
  length: number;
  lowercase: boolean;
  uppercase: boolean;
  numbers: boolean;
  symbols: boolean;
  /** Characters never to use. */
  exclude: string;
}

export interface Constraints {
  alphabet: string;
  maxLength: number;
}

/** Cryptographically secure bytes, as many as asked for. */
export type Random = (bytes: number) => Uint8Array;

type CharacterClass = 'lowercase' | 'uppercase' | 'numbers' | 'symbols';

const alphabets: Record<CharacterClass, string> = {
  lowercase: 'abcdefghijklmnopqrstuvwxyz',
  uppercase: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  numbers: '0123456789',
  symbols: '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~',
};
const classes: readonly CharacterClass[] = ['lowercase', 'uppercase', 'numbers', 'symbols'];
/** A shorter value is worth little, and the redactor could not tell it from a word. */
const shortest = 8;
/** A policy that the check lets through needs about a hundred draws at the worst: this many never happen. */
const mostDraws = 10_000;
const lengthenedBy = 4;

/** Why no value can satisfy both, as a phrase for people, or null when one can. */
export function policyProblem(policy: Policy, constraints: Constraints): string | null {
  if (!Number.isInteger(policy.length) || policy.length < shortest)
    return `length ${policy.length} is below the minimum of ${shortest}`;
  if (policy.length > constraints.maxLength)
    return `length ${policy.length} is above the ${constraints.maxLength} that the target takes`;
  const required = classes.filter((name) => policy[name]);
  if (required.length === 0) return 'no kind of character is allowed';
  const impossible = required.find((name) => charactersOf(name, policy, constraints).length === 0);
  if (impossible)
    return `${impossible} are required, but none is left that the target takes and \`exclude\` allows`;
  if (required.every((name) => name === 'symbols'))
    return 'symbols alone are not enough, because a value neither starts nor ends with one';
  return null;
}

/**
 * A value with every required class, a letter first where letters are allowed, and no symbol at either end.
 * Draws whole values until one fits. Throws KeyturnError when `policyProblem` has one to tell.
 */
export function drawPassword(policy: Policy, constraints: Constraints, random: Random): Secret {
  const problem = policyProblem(policy, constraints);
  if (problem !== null)
    throw new KeyturnError('passwordPolicy', problem, { hint: 'change passwordPolicy in the manifest' });

  const allowed = classes
    .filter((name) => policy[name])
    .map((name) => ({ name, characters: charactersOf(name, policy, constraints) }));
  const charactersIn = (...names: CharacterClass[]): string =>
    allowed.flatMap(({ name, characters }) => (names.includes(name) ? [characters] : [])).join('');
  const letters = charactersIn('lowercase', 'uppercase');
  const first = letters === '' ? charactersIn('numbers') : letters;
  const last = charactersIn('lowercase', 'uppercase', 'numbers');
  const anything = charactersIn(...classes);

  // The ends have alphabets of their own, which is what rejecting whole values for their ends would come to.
  const places = [first, ...Array.from({ length: policy.length - 2 }, () => anything), last];
  for (let draw = 0; draw < mostDraws; draw++) {
    const value = drawEach(places, random);
    const fits = allowed.every(({ characters }) => value.some((character) => characters.includes(character)));
    if (fits) return new Secret(value.join(''));
  }
  throw new KeyturnError('passwordPolicy', `no value satisfied it in ${mostDraws} draws`, {
    hint: 'make it longer, or exclude fewer characters',
  });
}

/** What a value that somebody else drew lacks, as a phrase that follows it, or null. Never repeats any of it. */
export function violationOf(value: Secret, policy: Policy): string | null {
  const characters = [...value.reveal()];
  if (characters.length < policy.length) return `is shorter than the ${policy.length} of passwordPolicy`;
  if (characters.some((character) => policy.exclude.includes(character)))
    return 'has a character that passwordPolicy excludes';
  for (const name of classes) {
    const has = characters.some((character) => alphabets[name].includes(character));
    if (has !== policy[name])
      return has
        ? `has ${name}, which passwordPolicy leaves out`
        : `has no ${name}, which passwordPolicy asks for`;
  }
  return null;
}

/**
 * The policy for the value after `refusals` refused ones (§3.4): longer by four characters for each, up to what
 * the target takes. Never with a class that the manifest leaves out: its readers may not bear it.
 */
export function strengthen<P extends Policy>(policy: P, refusals: number, constraints: Constraints): P {
  const longer = Math.min(policy.length + lengthenedBy * refusals, constraints.maxLength);
  return { ...policy, length: Math.max(policy.length, longer) };
}

function charactersOf(name: CharacterClass, { exclude }: Policy, { alphabet }: Constraints): string {
  const isAllowed = (character: string): boolean =>
    alphabet.includes(character) && !exclude.includes(character);
  return [...alphabets[name]].filter(isAllowed).join('');
}

/** One character of each of `places`, uniformly: a byte past the last whole multiple of an alphabet is drawn again. */
function drawEach(places: readonly string[], random: Random): string[] {
  const drawn: string[] = [];
  for (let round = 0; drawn.length < places.length; round++) {
    if (round > mostDraws) throw new KeyturnError('random source', 'gives no usable bytes');
    const bytes = random((places.length - drawn.length) * 2);
    for (const byte of bytes) {
      const alphabet = places[drawn.length] ?? '';
      if (alphabet !== '' && byte < 256 - (256 % alphabet.length))
        drawn.push(alphabet[byte % alphabet.length] ?? '');
    }
    bytes.fill(0);
  }
  return drawn;
}
