/** What every browser test needs: the page with its engine running, an eye on its requests, and hands to drop files. */

import { test as base, expect, type Locator, type Page } from '@playwright/test';
import type { TestFile } from './files.js';

/** A recipe as an address holds it; every word is written out, which the page reads as well as its letters. */
function compact(value: unknown): string {
  if (value === null) return '!n';
  if (typeof value === 'boolean') return value ? '!t' : '!f';
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return `!(${value.map(compact).join()})`;
  if (typeof value === 'object') return `(${fields(value)})`;
  return String(value);
}

const fields = (value: object): string => Object.entries(value).map(([name, own]) => `'${name}':${compact(own)}`).join();

export class Lopper {
  /** Requests since the engine was ready. */
  readonly requests: string[] = [];
  /** Errors on the console, policy violations among them. */
  readonly complaints: string[] = [];
  #loaded = false;

  constructor(readonly page: Page) {
    page.on('request', (request) => {
      if (this.#loaded && /^(https?|wss?):/.test(request.url())) this.requests.push(request.url());
    });
    page.on('console', (message) => {
      if (message.type() === 'error') this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(error.message));
  }

  /** Opens the page and waits until the engine answers. */
  async open(): Promise<void> {
    await this.page.goto('./');
    await this.ready();
    this.#loaded = true;
  }

  async ready(): Promise<void> {
    await expect(this.page.getByRole('button', { name: 'Try the sample' })).toBeEnabled({ timeout: 120_000 });
  }

  /** Drops files on the window as a person would. */
  async drop(...files: TestFile[]): Promise<void> {
    const carried = files.map(({ name, bytes }) => ({ name, base64: bytes.toString('base64') }));
    await this.page.evaluate((list) => {
      const transfer = new DataTransfer();
      for (const { name, base64 } of list) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name));
      }
      for (const type of ['dragenter', 'dragover', 'drop']) {
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
      }
    }, carried);
  }

  /** Puts a recipe into the address. */
  async follow({ version, ...rest }: { version: number }): Promise<void> {
    const hash = `#${version}${fields(rest)}`;
    await this.page.evaluate((hash) => {
      location.hash = hash;
    }, hash);
  }

  step(title: string): Locator {
    return this.page.getByRole('region', { name: title, exact: true });
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name });
  }

  get card(): Locator {
    return this.page.getByRole('complementary');
  }

  /** The worker that holds the engine. */
  async killWorker(): Promise<void> {
    const workers = this.page.workers();
    expect(workers).toHaveLength(1);
    await workers[0]?.evaluate(() => self.close()).catch(() => undefined);
  }

  /** Saves what a button downloads. */
  async download(button: Locator): Promise<{ name: string; bytes: Buffer }> {
    const [download] = await Promise.all([this.page.waitForEvent('download'), button.click()]);
    const chunks: Buffer[] = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
    return { name: download.suggestedFilename(), bytes: Buffer.concat(chunks) };
  }
}

export const test = base.extend<{ lopper: Lopper }>({
  lopper: async ({ page }, use) => {
    const lopper = new Lopper(page);
    await lopper.open();
    await use(lopper);
  },
});

export { expect };
