// Weights from the server, kept in this browser in pieces and compared with their hash whenever they are used.
import { number, t } from '/public/texts.js';

const CACHE = 'scholion-lab-weights';
const PIECE = 8 * 2 ** 20;
export const MEGABYTE = 1e6;

const store = async () => { try { return await globalThis.caches?.open(CACHE); } catch { return undefined; } };
const key = (file, n) => `${file.url}?piece=${n}`;
const pieces = (file) => Math.ceil(file.bytes / PIECE);
const inMegabytes = (bytes) => t('{n} MB', { n: number(Math.round(bytes / MEGABYTE)) });

const fetched = async (file, n, signal) => {
  const first = n * PIECE;
  const last = Math.min(first + PIECE, file.bytes) - 1;
  let reply;
  try {
    reply = await fetch(file.url, { headers: { range: `bytes=${first}-${last}` }, signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error(t('{name} is not kept in this browser, and Scholion does not respond.', { name: file.name }));
  }
  if (reply.status === 404) throw new Error(t('Scholion does not have {name} any more. Reload the page.', { name: file.name }));
  if (reply.status === 401) throw new Error(t('You are signed out. Reload the page and sign in.'));
  if (reply.status !== 206) throw new Error(t('Scholion cannot send {name} now (status {status}). Try again later.', { name: file.name, status: reply.status }));
  let piece;
  try {
    piece = await reply.blob();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    piece = new Blob();
  }
  if (piece.size !== last - first + 1) throw new Error(t('The download of {name} was interrupted. What has arrived is kept: try again to continue.', { name: file.name }));
  return piece;
};

const isWhole = async (blob, file) => {
  if (blob.size !== file.bytes) return false;
  if (!globalThis.crypto?.subtle) return true; // an address without encryption: the browser computes no hashes
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') === file.sha256;
};

const forgotten = async (cache, file) => { for (let n = 0; n < pieces(file); n += 1) await cache?.delete(key(file, n)); };

/**
 * One file: { blob, kept: whether no byte came from the server, notes: what the user should know }.
 * `told` gets the share that is there, from 0 to 1.
 */
export async function weights(file, { told = () => {}, signal } = {}) {
  const cache = await store();
  const notes = cache ? [] : [t('This browser keeps no weights for this address. They are loaded again each time.')];
  for (const attempt of [1, 2]) {
    const parts = [];
    let kept = true;
    let full = false;
    for (let n = 0; n < pieces(file); n += 1) {
      signal?.throwIfAborted();
      const there = await cache?.match(key(file, n));
      let piece = there && await there.blob();
      if (!piece) {
        kept = false;
        piece = await fetched(file, n, signal);
        if (cache && !full) {
          try {
            await cache.put(key(file, n), new Response(piece));
          } catch { // QuotaExceededError
            full = true;
            await forgotten(cache, file);
            notes.push(t('There is no room in this browser to keep {name} ({size}). It is loaded again next time.', { name: file.name, size: inMegabytes(file.bytes) }));
          }
        }
      }
      parts.push(piece);
      told((n + 1) / pieces(file));
    }
    const blob = new Blob(parts);
    if (await isWhole(blob, file)) return { blob, kept, notes };
    await forgotten(cache, file);
    if (attempt === 1) notes.push(t('The kept copy of {name} was damaged. It was loaded again.', { name: file.name }));
  }
  throw new Error(t('{name} arrived damaged twice. Try again later.', { name: file.name }));
}

/** Whether the whole file is kept. */
export async function isKept(file) {
  const cache = await store();
  return Boolean(cache) && (await cache.keys()).filter(({ url }) => url.includes(file.url)).length === pieces(file);
}

/** Bytes that are kept of all weights, and how many there may be in all; null where the browser does not tell. */
export async function space() {
  const cache = await store();
  let bytes = 0;
  for (const request of (await cache?.keys()) ?? []) bytes += Number((await (await cache.match(request)).blob()).size);
  const { quota = null } = (await navigator.storage?.estimate?.().catch(() => null)) ?? {};
  return { bytes, quota };
}

/** Ask the browser not to throw the weights away when the disk fills up. */
export const holdOn = () => navigator.storage?.persist?.().catch(() => false);

/** Delete what is kept of other weights than these. */
export async function keepOnly(files) {
  const cache = await store();
  for (const request of (await cache?.keys()) ?? []) {
    if (!files.some(({ url }) => request.url.includes(url))) await cache.delete(request);
  }
}

/** Delete the weights and the page that are kept. */
export async function forget() {
  for (const name of (await globalThis.caches?.keys()) ?? []) if (name.startsWith('scholion-lab')) await caches.delete(name);
}
