// The server of `npm start`: what it answers, what it never answers, and with which headers.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { header, meta } from '../../tool/policy.mjs';
import { listen } from '../../tool/serve.mjs';

const base = '/any/sub/path/';
const script = 'export const answer = 42;\n'.repeat(50);
let folder, server, port;

/** One request, its path sent as it stands: fetch() would tidy the dots away. */
function ask(target, { method = 'GET', headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    request({ port, path: target, method, headers }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }));
    }).on('error', reject).end();
  });
}

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lopper-serve-'));
  const site = path.join(folder, 'site');
  await mkdir(path.join(site, 'assets'), { recursive: true });
  await writeFile(path.join(folder, 'secret.txt'), 'secret');
  await mkdir(path.join(folder, 'site-beside'));
  await writeFile(path.join(folder, 'site-beside', 'secret.txt'), 'secret');
  await symlink(path.join(folder, 'secret.txt'), path.join(site, 'link.txt'));
  await writeFile(path.join(site, 'index.html'), '<!doctype html>');
  await writeFile(path.join(site, 'core.wasm'), Buffer.alloc(8));
  await writeFile(path.join(site, 'assets', 'page-abc123.js'), script);
  await writeFile(path.join(site, 'assets', 'page-abc123.js.br'), zlib.brotliCompressSync(script));
  await writeFile(path.join(site, 'assets', 'page-abc123.js.gz'), zlib.gzipSync(script));
  ({ server } = await listen({ dir: site, port: 0, base }));
  port = server.address().port;
});

after(async () => {
  server?.close();
  await rm(folder, { recursive: true, force: true });
});

const found = [
  ['', 'text/html; charset=utf-8', 'no-cache'],
  ['?query=1', 'text/html; charset=utf-8', 'no-cache'],
  ['index.html', 'text/html; charset=utf-8', 'no-cache'],
  ['core.wasm', 'application/wasm', 'no-cache'],
  ['assets/page-abc123.js', 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
];
for (const [name, type, caching] of found) {
  test(`${name || 'the folder'} is served as ${type}, with the policy`, async () => {
    const { status, headers } = await ask(base + name);
    assert.equal(status, 200);
    assert.equal(headers['content-type'], type);
    assert.equal(headers['cache-control'], caching);
    assert.equal(headers['content-security-policy'], header);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
  });
}

const refused = ['nothing.js', '../secret.txt', '%2e%2e/secret.txt', '..%2fsecret.txt', '..%5csecret.txt', '../site-beside/secret.txt',
  'assets/../../secret.txt', 'link.txt', '%00', 'index.html%00.js', '%zz', 'assets', 'assets/', '/etc/passwd'];
for (const name of refused) {
  test(`${name} is not served`, async () => {
    const { status, body } = await ask(base + name);
    assert.equal(status, 404);
    assert.ok(!body.includes('secret'));
  });
}

test('nothing is served outside the sub-path, and its bare name leads into it', async () => {
  assert.equal((await ask('/')).status, 404);
  assert.equal((await ask('/index.html')).status, 404);
  const { status, headers } = await ask(base.slice(0, -1));
  assert.equal(status, 308);
  assert.equal(headers.location, base);
});

test('the compressed twin goes to a browser that accepts it', async () => {
  const target = `${base}assets/page-abc123.js`;
  const get = (accept) => ask(target, { headers: { 'Accept-Encoding': accept } });
  const br = await get('gzip, deflate, br');
  assert.equal(br.headers['content-encoding'], 'br');
  assert.equal(br.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.equal(zlib.brotliDecompressSync(br.body).toString(), script);
  assert.equal(zlib.gunzipSync((await get('gzip')).body).toString(), script);
  const plain = await get('br;q=0, gzip;q=0');
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.equal(plain.body.toString(), script);
});

test('an unchanged file is not sent again', async () => {
  const { headers } = await ask(base);
  const again = await ask(base, { headers: { 'If-None-Match': headers.etag } });
  assert.equal(again.status, 304);
  assert.equal(again.body.length, 0);
});

test('only reading is allowed', async () => {
  assert.equal((await ask(base, { method: 'POST' })).status, 405);
  const head = await ask(`${base}core.wasm`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '8', 0]);
});

test('the policy lets nothing in or out but the site itself', () => {
  for (const policy of [header, meta]) {
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /connect-src 'self'(;|$)/);
    assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'|\*|https?:/);
  }
});
