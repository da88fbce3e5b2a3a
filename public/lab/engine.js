// llama.cpp inside the page, through wllama: what the browser offers, loading a model, writing, and faults in words.
import { unpacked } from '/public/lab/unpack.js';
import { number, t } from '/public/texts.js';

const CONTEXT = 4096; // tokens
const MOST_BYTES = 3.5e9; // of a file: the memory of the engine ends at 4 GB
const MOST_UNPACKED = 1.2e9; // bytes
const MOST_THREADS = 8;

/** Whether this device has room for weights that are written out; browsers that do not tell are taken to have it. */
export const hasRoom = () => (navigator.deviceMemory ?? 8) >= 4;
const AT_ONCE = { webgpu: 512, other: 64 }; // tokens of the prompt between two looks at Stop

const has64bitMemory = () => { try { return Boolean(new WebAssembly.Memory({ address: 'i64', initial: 1n })); } catch { return false; } };
const threads = () => Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);

const graphics = async () => {
  if (!navigator.gpu) return { fault: t('This browser has no WebGPU.') };
  if (!WebAssembly.Suspending) return { fault: t('This browser has WebGPU, but not the JSPI that llama.cpp needs for it.') };
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter) return { fault: t('This browser has WebGPU, but no graphics device for it.') };
  const { isFallbackAdapter, architecture = '', description = '' } = adapter.info ?? {};
  return { software: isFallbackAdapter || /swiftshader|llvmpipe|software/i.test(`${architecture} ${description}`) };
};

/** The engines in the order in which they are tried: id, name, and where it cannot be used, the fault in a sentence. */
export async function engines() {
  if (!has64bitMemory()) throw new Error(t('This browser cannot run the model: it lacks 64-bit WebAssembly memory. Use a current Chrome, Edge or Firefox.'));
  const { fault, software = false } = await graphics();
  const n = threads();
  const alone = !globalThis.crossOriginIsolated || typeof SharedArrayBuffer === 'undefined'
    ? t('This browser gives the page no shared memory (SharedArrayBuffer), so there is only one thread.')
    : n < 2 ? t('This machine has only one core for the page.') : null;
  const gpu = { id: 'webgpu', name: software ? t('WebGPU in software') : t('WebGPU'), fault: fault ?? null, software };
  const wasm = { id: 'threads', name: t('WebAssembly, {n} threads', { n }), fault: alone, threads: n };
  const single = { id: 'single', name: t('WebAssembly, one thread'), fault: null, threads: 1 };
  return software ? [wasm, gpu, single] : [gpu, wasm, single];
}

/** The engine for "automatic", and why: the fastest that was measured, or else the first that can be used. */
export function chosen(found, measured) {
  const usable = found.filter(({ fault }) => !fault);
  const [first] = usable;
  const known = usable.filter(({ id }) => measured[id]);
  if (known.length > 1 && measured[first.id]) {
    const best = known.reduce((one, other) => (measured[other.id] > measured[one.id] ? other : one));
    return { engine: best, why: t('It was the fastest here: {n} tokens/s.', { n: number(measured[best.id], 1) }) };
  }
  const missing = found.slice(0, found.indexOf(first)).map(({ fault }) => fault);
  const gpu = found.find(({ id }) => id === 'webgpu');
  const why = first.id === 'webgpu' ? [t('This browser offers WebGPU.')]
    : [...missing, ...(gpu.fault && !missing.includes(gpu.fault) ? [gpu.fault] : []), ...(gpu.software ? [t('WebGPU is only emulated in software here.')] : [])];
  return { engine: first, why: why.join(' ') };
}

/** Throw a sentence if this file from the disk cannot be a model. */
export async function checkFile(file) {
  const magic = new TextDecoder().decode(await file.slice(0, 4).arrayBuffer());
  if (magic !== 'GGUF') throw new Error(t('{name} is not a GGUF file.', { name: file.name }));
  if (file.size > MOST_BYTES) throw new Error(t('{name} is too large for this page, which has 4 GB of memory at most.', { name: file.name }));
}

/** What went wrong, in one sentence, from the error and the last lines of llama.cpp's log. */
export function inSentence(error, name, log = []) {
  const fault = error?.message ?? String(error);
  const said = [fault, ...log].join('\n');
  if (/out of memory|\boom\b|bad_alloc|cannot allocate|failed to (?:re)?allocate|could not allocate|Cannot enlarge|WebAssembly\.Memory|array buffer allocation failed/i.test(said)) {
    return t('There is not enough memory for {name} in this browser. Close other tabs, or choose a smaller model.', { name });
  }
  if (/exceeds? the available context|context size|too long|kv cache is full/i.test(said)) {
    return t('The question with its documents is too long for the model. Shorten the documents.');
  }
  if (/device (?:was )?lost|lost device|GPUDevice/i.test(said)) {
    return t('The browser lost its graphics device. Choose another engine, or reload the page.');
  }
  if (/gguf|magic|tensor|outside the bounds|invalid typed array length/i.test(fault) // words that the log of an intact model has, too
    || /failed to load (?:model|lora adapter|GGUF)|error loading model|unknown model architecture|file is corrupted|File read failed/i.test(said)) {
    return t('{name} cannot be loaded: the file is damaged or of an unsupported kind.', { name });
  }
  return t('The engine stopped ({error}). Try again, or choose another engine.', { error: fault.split('\n')[0].slice(0, 120) });
}

/** A model that is loaded. */
export class Model {
  #engine;
  #log = [];

  /**
   * Load `blobs`, the model and then its adapters, into `engine`. `assets` has the addresses of wllama's two files,
   * `unpack` writes weights out where that is faster, `more` has parameters of llama.cpp that are to differ.
   */
  static async load({ assets, engine, blobs, name, signal, unpack = false, more = {} }) {
    const model = new Model();
    const began = performance.now();
    let refuse;
    const failed = new Promise((_, reject) => { refuse = reject; });
    failed.catch(() => null);
    const keep = (...parts) => {
      model.#log.push(...parts.map((part) => String(part?.message ?? part)));
      model.#log.splice(0, model.#log.length - 40);
    };
    const error = (...parts) => { // a worker that cannot start says so only here
      keep(...parts);
      if (parts.some((part) => part instanceof Event)) refuse(new Error(model.#log.at(-1)));
    };
    try {
      const { Wllama } = await import(assets['wllama.js']);
      model.#engine = new Wllama({ default: assets['wllama.wasm'] }, {
        cacheManager: {}, modelManager: {}, // its own need storage that browsers give only to encrypted pages; not used here
        logger: { debug: () => {}, log: keep, warn: keep, error },
      });
      model.#engine.setCompat(null); // else it asks a CDN for a build for browsers that lack something
      const parameters = {
        n_ctx: CONTEXT,
        n_parallel: 1,
        n_gpu_layers: engine.id === 'webgpu' ? 99_999 : 0,
        n_threads: engine.threads ?? 1,
        n_batch: AT_ONCE[engine.id] ?? AT_ONCE.other,
        warmup: false,
        ...more,
        // wllama loads the first file and calls the others parts of it; llama.cpp takes them as adapters here
        lora_adapters: blobs.slice(1).map((_, n) => ({ path: `models/model-${String(n + 2).padStart(5, '0')}-of-${String(blobs.length).padStart(5, '0')}.gguf`, scale: 1 })),
      };
      if (!parameters.lora_adapters.length) delete parameters.lora_adapters;
      signal?.throwIfAborted();
      signal?.addEventListener('abort', () => refuse(new Error('stopped')), { once: true });
      const files = unpack && engine.id !== 'webgpu' ? [await unpacked(blobs[0], MOST_UNPACKED), ...blobs.slice(1)] : blobs;
      signal?.throwIfAborted();
      await Promise.race([model.#engine.loadModel(files, parameters), failed]);
      // wllama reports some failures, such as too little memory for the context, as a model without a context
      if (!model.#engine.getLoadedContextInfo().n_ctx) throw new Error('no context');
    } catch (fault) {
      await model.close();
      signal?.throwIfAborted();
      throw new Error(inSentence(fault, name, model.#log));
    }
    model.name = name;
    model.seconds = (performance.now() - began) / 1000;
    return model;
  }

  /**
   * Write an answer at temperature 0. `told` gets each piece. What comes back: the text, seconds to the first token and
   * in all, seconds per token after the first, tokens read and written, and why it ended ("stop", "length", "stopped").
   */
  async write(prompt, { tokens, signal, told = () => {} }) {
    const began = performance.now();
    this.#log.length = 0; // of loading: it says nothing about a fault in writing
    let first = null;
    let text = '';
    let end = null;
    let usage = null;
    let came = 0;
    let last = began;
    const take = (chunk) => {
      usage = chunk.usage ?? usage;
      const [choice] = chunk.choices ?? [];
      end = choice?.finish_reason ?? end;
      if (!choice?.delta?.content) return;
      last = performance.now();
      first ??= last;
      came += 1;
      text += choice.delta.content;
      told(choice.delta.content);
    };
    try {
      await this.#engine.createChatCompletion({
        messages: [{ role: 'user', content: prompt }], max_tokens: tokens, temperature: 0, cache_prompt: false,
        stream: true, stream_options: { include_usage: true }, onData: take, abortSignal: signal,
      });
    } catch (fault) {
      if (!signal?.aborted) throw new Error(inSentence(fault, this.name, this.#log));
      end = 'stopped';
    }
    const written = usage?.completion_tokens ?? (came || null);
    return {
      text, end,
      first: first === null ? null : (first - began) / 1000,
      seconds: (performance.now() - began) / 1000,
      perToken: came > 1 ? (last - first) / 1000 / (came - 1) : null,
      input: usage?.prompt_tokens ?? null,
      output: written,
    };
  }

  /** Free its memory. */
  async close() { await this.#engine?.exit().catch(() => null); }
}
