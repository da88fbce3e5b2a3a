// The service worker of /lab: the page opens without the network, and knows of every request that it makes.
// The network is asked first, so what is kept is only shown where there is none. Weights are not its business.
const CACHE = 'scholion-lab-page';
const OURS = /^\/(?:lab|lab\/engine\/.*|lab\/state\.json|lab\/licences\.txt|public\/.*|texts\.json)$/;

const isOurs = (address) => {
  const url = new URL(address);
  return url.origin === self.location.origin && OURS.test(url.pathname);
};

const tell = async (address) => {
  for (const page of await self.clients.matchAll()) page.postMessage({ asked: address });
};

const fresh = async (request) => {
  const cache = await caches.open(CACHE);
  try {
    const reply = await fetch(request);
    if (reply.ok) await cache.put(request, reply.clone()).catch(() => null); // a full disk is no fault of the page
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
  tell(event.request.url);
  if (event.request.method === 'GET' && isOurs(event.request.url)) event.respondWith(fresh(event.request));
});
self.addEventListener('message', (event) => { // what the page had loaded before this script began
  const wanted = (event.data?.keep ?? []).filter(isOurs);
  event.waitUntil(caches.open(CACHE).then((cache) => Promise.all(wanted.map((one) => cache.add(one).catch(() => null)))));
});
