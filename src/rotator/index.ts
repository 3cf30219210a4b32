/** `keyturn/rotator`: what an author of rotators needs, and nothing else of keyturn. */
export { type Answered, type Answers, memoryAnswers } from './answers.ts';
export { rotator, type Work } from './listener.ts';
export {
  checkToken,
  type GithubTrust,
  type KeyturnTrust,
  type Presented,
  type TokenRules,
  type TokenVerdict,
} from './token.ts';
export { validation, validationPath } from './validation.ts';
export { type Incoming, type RotatorRules, type Verdict, verifyRequest } from './verify.ts';
export { type Operation, type Reply, type RotatorRequest, refusal } from './wire.ts';
