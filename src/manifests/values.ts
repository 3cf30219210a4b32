/** What manifests call the secret part of a credential, which in the model is `password` whatever it is. */
import type { RotatedSecret, Target } from './model.ts';

/** Of a target's login. */
export function loginKey({
  aws,
  azure,
}: Target): 'secretAccessKey' | 'clientSecret' | 'certificate' | 'password' {
  if (azure !== undefined) return azure.login.how === 'certificate' ? 'certificate' : 'clientSecret';
  return aws === undefined ? 'password' : 'secretAccessKey';
}

/** Of the value that a secret adopts. */
export const initialKey = ({
  keys,
  keyType,
}: RotatedSecret): 'secretAccessKey' | 'clientSecret' | 'privateKey' | 'password' =>
  keys !== undefined ? (keys.form ?? 'secretAccessKey') : keyType !== undefined ? 'privateKey' : 'password';
