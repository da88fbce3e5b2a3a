// The service worker of /lab: the page opens without the network, and knows of every request that it makes.
// The network is asked first, so what is kept is only shown where there is none. Weights are not its business.
const CACHE = 'scholion-lab-page';
const OURS = /^\/(?:lab|lab\/engine\/.*|lab\/state\.json|lab\/licences\.txt|public\/.*|texts\.json)$/;

const isOurs = (address) => {
  const url = new URL(address);
  return url.origin === self.location.origin && OURS.test(url.pathname);
};

/** Tell a page of its request, and every page of a worker's: a worker does not say whose it is. */
const tell = async ({ clientId, request }) => {
  if (request.mode === 'navigate') return;
  const asker = await self.clients.get(clientId);
  const pages = asker?.type === 'window' ? [asker] : await self.clients.matchAll();
  for (const page of pages) page.postMessage({ asked: request.url });
};

/** Keep a reply; of a file of the engine, no other version. */
const keep = async (cache, request, reply) => {
  await cache.put(request, reply);
  const { pathname } = new URL(request.url);
  if (!pathname.startsWith('/lab/engine/')) return;
  const file = pathname.split('/').at(-1);
  for (const other of await cache.keys()) {
    const { pathname: path } = new URL(other.url);
    if (path !== pathname && path.startsWith('/lab/engine/') && path.endsWith(`/${file}`)) await cache.delete(other);
  }
};

const fresh = async (request) => {
  const cache = await caches.open(CACHE);
  try {
    const reply = await fetch(request);
    if (reply.ok) await keep(cache, request, reply.clone()).catch(() => null); // a full disk is no fault of the page
    else if (reply.status === 401 || reply.type === 'opaqueredirect') await caches.delete(CACHE); // signed out
    return reply;
  } catch (error) {
    const kept = await cache.match(request, { ignoreVary: true });
    if (kept) return kept;
    throw error;
  }
};

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  tell(event);
  if (event.request.method === 'GET' && isOurs(event.request.url)) event.respondWith(fresh(event.request));
});
self.addEventListener('message', (event) => { // what the page had loaded before this script began
  const wanted = (event.data?.keep ?? []).filter(isOurs);
  event.waitUntil(caches.open(CACHE).then((cache) => Promise.all(wanted.map((one) => cache.add(one).catch(() => null)))));
});
