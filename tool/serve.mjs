// Serves the built page with the headers it would have in production.
//
//   node tool/serve.mjs [--dir dist] [--port 4173] [--base /any/sub/path/]      --port 0: any free port
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { Fault, dist, script } from './lib.mjs';
import { header } from './policy.mjs';

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.ico': 'image/x-icon',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.zip': 'application/zip',
  '.onnx': 'application/octet-stream',
};

const always = {
  'Content-Security-Policy': header,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

async function plainFile(file) {
  const found = await stat(file).catch(() => null);
  return found?.isFile() ? found : null;
}

/** The file below `dir` that a request's path names, or null: nothing outside `dir`, not by dots nor by links. */
async function locate(dir, base, url) {
  let name;
  try {
    name = decodeURIComponent(url.split(/[?#]/, 1)[0]);
  } catch {
    return null;
  }
  if (!name.startsWith(base) || name.includes('\0') || name.includes('\\')) return null;
  const inside = name.slice(base.length);
  if (inside.split('/').includes('..')) return null;
  const file = path.join(dir, inside === '' || inside.endsWith('/') ? `${inside}index.html` : inside);
  const real = await realpath(file).catch(() => null);
  return real && real.startsWith(dir + path.sep) && (await plainFile(real)) ? real : null;
}

/** The precompressed twin that the browser accepts, if one lies beside the file. */
async function variant(file, accepts) {
  for (const [encoding, ending] of [['br', '.br'], ['gzip', '.gz']]) {
    const accepted = new RegExp(`(^|[,\\s])${encoding}(?!\\s*;\\s*q=0(\\.0*)?\\s*(,|$))`).test(accepts);
    const found = accepted && (await plainFile(file + ending));
    if (found) return { file: file + ending, found, encoding };
  }
  return { file, found: await plainFile(file) };
}

async function answer(dir, base, request, response) {
  const plain = (status, text, headers = {}) => {
    response.writeHead(status, { ...always, 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store', ...headers });
    response.end(request.method === 'HEAD' ? undefined : `${text}\n`);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'Only GET and HEAD.', { Allow: 'GET, HEAD' });
  if (request.url.split('?', 1)[0] === base.slice(0, -1) && base !== '/') return plain(308, 'Moved.', { Location: base });
  const file = await locate(dir, base, request.url);
  if (!file) return plain(404, 'There is no such file.');
  const sent = await variant(file, String(request.headers['accept-encoding'] ?? ''));
  const tag = `"${sent.found.size.toString(16)}-${Math.trunc(sent.found.mtimeMs).toString(16)}${sent.encoding ? `-${sent.encoding}` : ''}"`;
  const headers = {
    ...always,
    'Content-Type': types[path.extname(file).toLowerCase()] ?? 'application/octet-stream',
    // Vite puts a digest into the names below assets/; everything else may change under its name.
    'Cache-Control': path.dirname(file) === path.join(dir, 'assets') ? 'public, max-age=31536000, immutable' : 'no-cache',
    ETag: tag,
    Vary: 'Accept-Encoding',
  };
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304, headers);
    return response.end();
  }
  if (sent.encoding) headers['Content-Encoding'] = sent.encoding;
  response.writeHead(200, { ...headers, 'Content-Length': sent.found.size });
  if (request.method === 'HEAD') return response.end();
  return createReadStream(sent.file).on('error', () => response.destroy()).pipe(response);
}

/** Starts the server; resolves to {server, address}. A taken port is an error, unless `next` lets it try the ones after. */
export async function listen({ dir = dist, port = 4173, base = '/', next = false } = {}) {
  const place = await realpath(dir).catch(() => null);
  if (!place) throw new Fault(`There is no folder ${dir}: run "npm run build" first.`);
  const server = createServer((request, response) => {
    answer(place, base, request, response).catch((error) => {
      console.error(error);
      if (response.headersSent) response.destroy();
      else response.writeHead(500, always).end();
    });
  });
  for (let tried = port; ; tried += 1) {
    const failure = await new Promise((resolve) => {
      server.once('error', resolve);
      server.listen(tried, '127.0.0.1', () => {
        server.removeListener('error', resolve);
        resolve(null);
      });
    });
    if (!failure) break;
    if (failure.code !== 'EADDRINUSE' || !next || tried >= port + 20) {
      throw new Fault(`Port ${tried} cannot be used (${failure.code}). Name another with --port.`);
    }
  }
  return { server, address: `http://localhost:${server.address().port}${base}` };
}

/** --dir, --port and --base from a command line. Without --port the first free port from 4173 on is taken. */
export function serveOptions(args) {
  const value = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const port = value('--port');
  if (port !== undefined && !/^\d{1,5}$/.test(port)) throw new Fault(`--port wants a number, not ${port}.`);
  const base = `/${value('--base') ?? ''}/`.replace(/\/+/g, '/');
  return { dir: value('--dir') ?? dist, port: Number(port ?? 4173), base, next: port === undefined };
}

script(import.meta.url, async (args) => {
  const options = serveOptions(args);
  const { address } = await listen(options);
  console.log(`Serving ${options.dir} at ${address}`);
});
