/**
 * Work of an SDK that is over when the time is. The SDK is told to stop, but not waited for: it may begin with
 * something else instead, or wait for the end of an answer that it has thrown away.
 */
export async function within<T>(milliseconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      stop.abort();
      reject(Object.assign(new Error('no answer in time'), { name: 'TimeoutError' }));
    }, milliseconds);
  });
  return Promise.race([work(stop.signal), late]).finally(() => clearTimeout(timer));
}
