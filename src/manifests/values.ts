/** What manifests call the secret part of a credential, which in the model is `password` whatever it is. */
import type { RotatedSecret, Target } from './model.ts';

/** Of a target's login. */
export const loginKey = ({ aws }: Target): 'secretAccessKey' | 'password' =>
  aws === undefined ? 'password' : 'secretAccessKey';

/** Of the value that a secret adopts. */
export const initialKey = ({
  keys,
  keyType,
}: RotatedSecret): 'secretAccessKey' | 'privateKey' | 'password' =>
  keys !== undefined ? 'secretAccessKey' : keyType !== undefined ? 'privateKey' : 'password';
