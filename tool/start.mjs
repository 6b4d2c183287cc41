// Installs what is missing, builds what has changed, serves the page on this machine.
//
//   npm start [-- --port N]
import { build } from './build.mjs';
import { dist, script } from './lib.mjs';
import { listen, serveOptions } from './serve.mjs';

script(import.meta.url, async (args) => {
  const options = serveOptions(args);
  await build();
  const { address } = await listen({ ...options, dir: dist });
  console.log(`Lopper is at ${address}  (Ctrl+C ends it)`);
});
