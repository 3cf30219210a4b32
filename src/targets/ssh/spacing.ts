/** Logins to one host keep their distance: OpenSSH's PerSourcePenalties and fail2ban ban whoever hammers (protocol §3.7). */
const queues = new Map<string, Promise<number>>();

/** Waits until `gap` milliseconds have passed since the last login to this host and port began, in the order of asking. */
export async function takeTurn(host: string, port: number, gap: number): Promise<void> {
  const key = `${host.toLowerCase()}:${port}`;
  const before = queues.get(key);
  const mine = (async () => {
    const last = await before;
    const wait = last === undefined ? 0 : last + gap - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    return performance.now();
  })();
  queues.set(key, mine);
  await mine;
}
