/** The rows of the table that `npm run prove` prints and the README quotes. Their first words are for `--only`. */
export const what = {
  model: 'model: the protocol, and with each rule broken',
  schedules: 'schedules: the real engine, two and three runners, every fault',
  crashes: 'crashes: a run that dies at every step, every kind',
  lies: 'lies: servers, git remotes, manifests, state',
  soak: 'soak: every kind at once, killed at random',
};
