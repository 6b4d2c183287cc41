import { defineConfig } from '@playwright/test';

// A sub-path, because the site must work below any.
const BASE = '/some/sub/path/';
const PORT = Number(process.env['LOPPER_TEST_PORT'] ?? 4199);

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

export default defineConfig({
  testDir: 'tests/browser',
  // Two slow cores and a software GPU: the steps of one test are slow enough without another test beside it.
  workers: 1,
  timeout: 300_000,
  // A shared machine may keep the browser waiting for longer than any bound; what passes only the second time is listed as flaky.
  retries: 1,
  expect: { timeout: 60_000 },
  forbidOnly: process.env['CI'] !== undefined,
  outputDir: '.cache/browser-tests',
  reporter: 'list',
  use: {
    baseURL: `http://localhost:${PORT}${BASE}`,
    acceptDownloads: true,
    viewport: { width: 1280, height: 900 },
    // A service worker would answer before the files that tests put in its way; its own test lets it in.
    serviceWorkers: 'block',
  },
  webServer: {
    command: `node tool/serve.mjs --port ${PORT} --base ${BASE}`,
    url: `http://localhost:${PORT}${BASE}`,
    reuseExistingServer: false,
  },
  projects: [
    {
      name: 'adapter',
      testIgnore: /no-adapter/,
      use: {
        launchOptions: {
          executablePath,
          args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
        },
      },
    },
    {
      name: 'no-adapter',
      testMatch: /no-adapter/,
      use: { launchOptions: { executablePath, args: ['--no-sandbox'] } },
    },
  ],
});
