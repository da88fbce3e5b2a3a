// Counts the requests of this page. The service worker sees also those of llama.cpp's workers; without one, only the
// page's own are seen.
let count = 0;
const listeners = new Set();
const add = () => { count += 1; for (const told of listeners) told(); };

export const isWatched = () => Boolean(navigator.serviceWorker?.controller);

new PerformanceObserver((list) => {
  if (isWatched()) return; // it tells of these, too
  for (const { name } of list.getEntries()) if (/^https?:/.test(name)) add();
}).observe({ type: 'resource' });

navigator.serviceWorker?.addEventListener('message', (event) => { if (event.data?.asked) add(); });

const PATIENCE = 3000; // milliseconds that the page waits for its service worker

const kept = async () => {
  await navigator.serviceWorker.register('/lab/offline.js', { scope: '/lab' });
  const { active } = await navigator.serviceWorker.ready;
  if (!isWatched()) await new Promise((done) => { navigator.serviceWorker.addEventListener('controllerchange', done, { once: true }); });
  const loaded = performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => /^https?:/.test(name));
  active.postMessage({ keep: [location.href.split(/[?#]/)[0], ...loaded] });
};

/** Let the page open without the network from the next time on, where the browser can. */
export async function watch() {
  if (!navigator.serviceWorker) return;
  await Promise.race([kept().catch(() => null), new Promise((done) => { setTimeout(done, PATIENCE); })]);
}

/** How many requests were made while `work` ran: [what it returned, their number]. */
export async function during(work, told = () => {}) {
  const before = count;
  const listen = () => told(count - before);
  listeners.add(listen);
  try {
    const made = await work();
    await new Promise((done) => setTimeout(done, 60)); // messages of the service worker that are on their way
    return [made, count - before];
  } finally { listeners.delete(listen); }
}
