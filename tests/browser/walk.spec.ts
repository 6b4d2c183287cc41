/** Walks through the whole page on the sample, in both languages and both colour schemes; keeps a picture of everything. */

import type { Page, TestInfo } from '@playwright/test';
import { expectAccessible } from './axe.js';
import { expect, test } from './page.js';

const WIDTHS = [360, 1280, 2560] as const;

async function look(page: Page, info: TestInfo, name: string, whole = false): Promise<void> {
  await page.screenshot({ path: info.outputPath(`${name}.png`), fullPage: whole });
}

/** Everything is found by what it is, not by its words: the walk is the same in every language. */
async function walk(page: Page, info: TestInfo): Promise<void> {
  await look(page, info, 'landing');
  await expectAccessible(page, 'landing');
  await page.locator('.hero-actions button').last().click();
  const chapters = page.locator('.tour-chapter');
  await expect(chapters).toHaveCount(6);
  await expect(page.locator('.tour-words')).toBeVisible();
  for (let chapter = 0; chapter < 6; chapter += 1) {
    await chapters.nth(chapter).click();
    await expect(chapters.nth(chapter)).toHaveAttribute('aria-current', 'step');
    await look(page, info, `tour-${chapter + 1}`);
    await expectAccessible(page, `chapter ${chapter + 1}`);
  }
  await page.keyboard.press('Escape');

  await page.locator('#cut > .step-body > .actions .primary').click();
  await expect(page.locator('#proof .scale')).toBeVisible();
  await page.locator('#evaluate .actions .primary').click();
  await expect(page.locator('.result-top1')).toHaveText([/%/, /%/]);
  for (const panel of await page.locator('.panel > summary').all()) {
    // By the keyboard: what opens above may still move the page.
    await panel.press('Enter');
    await expect(panel.locator('xpath=..').locator('.panel-body')).toBeVisible();
  }
  await expect(page.locator('.graph-canvas[aria-busy=true]')).toHaveCount(0);
  for (const step of await page.locator('.step').all()) {
    const name = (await step.getAttribute('id')) ?? 'step';
    await step.screenshot({ path: info.outputPath(`step-${name}.png`) });
  }
  await expectAccessible(page, 'every view open');
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    await look(page, info, `all-${width}`, true);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), `${width} pixels wide`).toBeLessThanOrEqual(width);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  await expectAccessible(page, 'every view open, on a phone');
}

for (const locale of ['en', 'zh-CN'] as const) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test.describe(`${locale}, ${colorScheme}`, () => {
      test.use({ locale, colorScheme });

      test('every view, with a picture of each and nothing for axe to find', async ({ page }, info) => {
        const complaints: string[] = [];
        page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
        page.on('pageerror', (error) => complaints.push(error.message));
        await page.goto('./');
        await expect(page.locator('.hero-actions button').last()).toBeEnabled({ timeout: 120_000 });
        await walk(page, info);
        expect(complaints).toEqual([]);
      });
    });
  }
}
