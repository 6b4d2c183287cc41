// The content security policy of the page and of its worker: nothing but the site's own files, and no other place to talk to.
export const directives = {
  'default-src': "'none'",
  'script-src': "'self' 'wasm-unsafe-eval'",
  'style-src': "'self'",
  'img-src': "'self' blob: data:",
  'worker-src': "'self'",
  'connect-src': "'self'",
  'manifest-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
};

const written = (entries) => entries.map(([name, value]) => `${name} ${value}`).join('; ');

/** As a response header. */
export const header = written(Object.entries(directives));

/** As a meta tag, where `frame-ancestors` has no meaning: for a host that sends no headers of its own. */
export const meta = written(Object.entries(directives).filter(([name]) => name !== 'frame-ancestors'));
