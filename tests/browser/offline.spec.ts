import { smallModel } from './files.js';
import { expect, test } from './page.js';

test.use({ serviceWorkers: 'allow' });

test('after one visit the page works with the network cut', async ({ lopper, page, context }) => {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    // The engine's module is put aside while the page works.
    const engine = await caches.open('lopper-engine');
    while ((await engine.keys()).length === 0) await new Promise((again) => setTimeout(again, 50));
  });
  await context.setOffline(true);
  await page.goto('./#1a:(g:(h:.25))');
  await page.reload();
  await lopper.ready();
  await lopper.drop(smallModel());
  await expect(lopper.step('Model')).toContainText('small.onnx');
  await lopper.button(/^Cut 25/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals the masked original.');
});
