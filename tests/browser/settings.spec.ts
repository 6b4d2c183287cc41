import type { Locator } from '@playwright/test';
import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';

const counts = '.group-count';

test('criteria that look at images say what they lack, and score as soon as they have it', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  const measure = page.getByRole('combobox', { name: 'Measure' });
  for (const [label, needs] of [['Rank of feature maps', 'they need no labels'], ['Gate Decorator', 'Add labelled images']] as const) {
    await measure.selectOption({ label });
    await expect(lopper.step('Cut')).toContainText(needs);
    await expect(lopper.button(/^Cut 50/)).toBeDisabled();
  }
  await lopper.drop(colourZip());
  await expect(page.locator(counts)).toHaveText(['16 \u2192 8', '24 \u2192 12']);
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals the masked original.');
  expect(lopper.requests).toEqual([]);
});

test('every criterion by weights gives a plan; a wrong mixture gives a sentence', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  const measure = page.getByRole('combobox', { name: 'Measure' });
  const options = measure.locator('optgroup').first().locator('option');
  await expect(options).toHaveCount(12);
  const labels = await options.allTextContents();
  for (const label of labels) {
    await measure.selectOption({ label });
    // This model has no batch normalisation to look at.
    if (label === 'Batch-norm scale') await expect(page.locator('.estimate')).toContainText(/BatchNorm/);
    else await expect(page.locator(counts)).toHaveText(['16 \u2192 8', '24 \u2192 12']);
  }
  await measure.selectOption({ label: 'A mixture' });
  const mixture = page.getByLabel('Measures and their weights');
  await mixture.fill('l1:0.7,nothing:0.3');
  await mixture.blur();
  await expect(page.getByRole('alert')).toContainText('nothing');
  await mixture.fill('l1:0.7,fpgm_l2:0.3');
  await mixture.blur();
  await expect(page.locator(counts)).toHaveText(['16 \u2192 8', '24 \u2192 12']);
});

test('every scope, target and limit reaches the plan', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  for (const scope of ['In the whole network', 'Among alike groups', 'In each group']) {
    await page.getByRole('radio', { name: scope }).check();
    await expect(page.locator('.estimate')).toContainText('MACs');
  }
  for (const target of ['MACs', 'Parameters', 'File size']) {
    await page.getByRole('radio', { name: target }).check();
    await expect(lopper.button(/^Cut 50/)).toBeEnabled();
  }
  await page.getByRole('radio', { name: 'Channels' }).check();
  await page.getByText('More settings').click();
  await page.getByRole('spinbutton', { name: /^Keep at least channels/ }).fill('10');
  await page.keyboard.press('Tab');
  await expect(page.locator(counts)).toHaveText(['16 \u2192 10', '24 \u2192 12']);
  await page.getByRole('spinbutton', { name: /^Keep a multiple/ }).fill('16');
  await page.keyboard.press('Tab');
  await expect(page.locator(counts)).toHaveText(['16', '24 \u2192 16']);
  await page.getByLabel('Ratios of their own').fill('*=2');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('alert')).toContainText('shares from 0 to below 1');
});

test('layers are timed, and time is a target', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByRole('radio', { name: 'Time', exact: true }).check();
  await expect(lopper.button(/of the time$/)).toBeDisabled();
  await lopper.button('Time the layers').click();
  await expect(lopper.step('Cut')).toContainText(/The whole takes .+s on this CPU/);
  // So small a model may not be able to save half; then the page says so.
  await expect(page.locator('.estimate')).toContainText(/MACs|cannot be reached/);
});

test('settings travel in the address, as a command and as a file, and can be taken back', async ({ lopper, page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await lopper.drop(smallModel());
  await expect(page.locator(counts)).toHaveText(['16 \u2192 8', '24 \u2192 12']);
  await page.getByRole('radio', { name: 'In the whole network' }).check();
  await page.getByRole('button', { name: /^Keep .* whole$/ }).first().click();
  await expect(page.locator(counts).first()).toHaveText('16');
  await page.getByRole('combobox', { name: 'Measure' }).selectOption({ label: 'Geometric median' });

  await lopper.button('Copy command line').click();
  await expect(page.locator('.share')).toContainText('Command copied');
  const command = await page.evaluate(() => navigator.clipboard.readText());
  expect(command).toMatch(/^lopper run '1\S+' small\.onnx -o small-lopped\.onnx --report small-lopped\.report\.json$/);
  const { bytes, name } = await lopper.download(lopper.button('Save settings'));
  expect(name).toBe('small-lopped.recipe.json');
  expect(JSON.parse(bytes.toString())).toMatchObject({ version: 1, cut: { criterion: 'fpgm_l2', scope: 'global' } });

  await expect(page).toHaveURL(/#1/);
  await lopper.button('Copy link').click();
  await expect(page.locator('.share')).toContainText('Link copied');
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(new URL(link).hash.length).toBeLessThan(60);

  await page.keyboard.press('Control+z');
  await expect(page.getByRole('combobox', { name: 'Measure' })).toHaveValue('l1');
  await lopper.button('Undo').click();
  await expect(page.locator(counts).first()).not.toHaveText('16');
  await page.keyboard.press('Control+Shift+z');
  await lopper.button('Redo').click();
  await expect(page.getByRole('combobox', { name: 'Measure' })).toHaveValue('fpgm_l2');
  await expect(page.locator(counts).first()).toHaveText('16');

  // Another page with the link holds the same settings, its lock among them.
  const other = await context.newPage();
  await other.goto(link);
  await expect(other.getByRole('status').filter({ hasText: 'The settings of the link' })).toBeVisible();
  const [chooser] = await Promise.all([other.waitForEvent('filechooser'), other.getByText('Choose an ONNX file').click()]);
  await chooser.setFiles({ name: 'small.onnx', mimeType: 'application/octet-stream', buffer: smallModel().bytes });
  await expect(other.locator(counts).first()).toHaveText('16');
  await expect(other.getByRole('radio', { name: 'In the whole network' })).toBeChecked();
  // A changed address changes the settings; a broken one says so.
  await other.evaluate(() => (location.hash = '#1a:(g:(h:.25))'));
  await expect(other.locator(counts)).toHaveText(['16 \u2192 12', '24 \u2192 18']);
  await other.evaluate(() => (location.hash = '#1a:(oh'));
  await expect(other.getByRole('alert')).toContainText('The link holds no settings');
});

test('repair needs no training, and says what each stage brought', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await page.getByLabel('Epochs').fill('0');
  await page.keyboard.press('Tab');
  await expect(lopper.step('Fine-tune')).toContainText('there is nothing to do');
  await page.getByRole('checkbox', { name: /^Make up in biases/ }).check();
  await page.getByRole('checkbox', { name: /^Re-fit layers/ }).check();
  await lopper.button('Repair').click();
  const rows = lopper.step('Fine-tune').locator('.table tr');
  await expect(rows).toHaveText([/Before any of it.*%/, /Make up in biases.*%/, /Re-fit layers.*%/]);
  await lopper.button('Evaluate before and after').click();
  await expect(page.locator('.result-top1')).toHaveText([/%/, /%/, /%/]);
  expect(lopper.complaints).toEqual([]);
});

test('what a recipe says beyond the controls is told, carried out, and written out again', async ({ lopper, page }) => {
  const rules = {
    version: 1,
    cut: { criterion: 'hrank', scope: 'group', target: { ratio: 0.5 }, seed: 2 },
    score: { batch: 8, limit: 24 },
    data: { normalize: 'imagenet', seed: 7, validation: 0.25, test: 0.25 },
    tune: { epochs: 3, steps: 3, learning_rate: 0.02, batch: 16, seed: 9, weight_decay: 0.01, augmentation: [], warmup: 0 },
  };
  await lopper.drop(smallModel());
  await lopper.follow(rules);
  await expect(page.getByRole('combobox', { name: 'Measure' })).toHaveValue('hrank');
  const further = page.locator('.share-further');
  for (const rule of ['score.limit = 24', 'data.seed = 7', 'data.validation = 0.25', 'tune.steps = 3', 'tune.seed = 9', 'tune.weight_decay = 0.01']) {
    await expect(further).toContainText(rule);
  }
  await lopper.drop(colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await lopper.button('Fine-tune').click();
  await expect(lopper.step('Fine-tune')).toContainText('3 steps in');
  const recipe = async (button: Locator): Promise<unknown> => JSON.parse((await lopper.download(button)).bytes.toString()) as unknown;
  const { cut: _, ...beyond } = rules;
  // What was done, and what would be done again.
  expect(await recipe(lopper.step('Download').getByRole('button', { name: 'Recipe', exact: true }))).toMatchObject(beyond);
  expect(await recipe(lopper.button('Save settings'))).toMatchObject(beyond);

  // The address holds all of it, and leaving it out is one step that can be taken back.
  const link = page.url();
  await lopper.button('Leave them out').click();
  await expect(further).toHaveCount(0);
  await expect(lopper.step('Data')).toContainText('4 classes');
  // The images are read again for their other split.
  const saved = (what: Record<string, unknown>): Promise<void> =>
    expect(async () => expect(await recipe(lopper.button('Save settings'))).toMatchObject(what)).toPass({ timeout: 60_000 });
  await saved({ data: { seed: 2 }, score: { batch: 64, limit: 512 } });
  await expect.poll(() => page.url()).not.toBe(link);
  await page.evaluate((hash) => (location.hash = hash), new URL(link).hash);
  await expect(further).toContainText('tune.warmup = 0');
  await saved(beyond);
});

test('a recipe that the page has no way to follow is left to the command line, whole', async ({ lopper, page }) => {
  const cut = { criterion: 'l2', scope: 'group', target: { ratio: 0.25 } };
  await lopper.drop(smallModel());
  await expect(page.locator(counts)).toHaveText(['16 \u2192 8', '24 \u2192 12']);
  const mask = [{ kind: 'l1_unstructured', tensors: ['first.weight'], amount: { share: 0.5 } }];
  for (const recipe of [{ version: 1, mask, cut }, { version: 1, sparse: true, cut }, { version: 1, tune: { epochs: 1, learning_rate: 0.1, batch: 8 } }]) {
    await lopper.follow(recipe);
    await expect(page.getByRole('alert')).toContainText('on the command line');
    await expect(page.getByRole('combobox', { name: 'Measure' })).toHaveValue('l1');
    await page.getByRole('alert').getByRole('button').first().click();
    await expect(page.getByRole('alert')).toHaveCount(0);
  }
});

test('undo during work takes no step away', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await page.getByLabel('Epochs').fill('900');
  await page.keyboard.press('Tab');
  await page.getByRole('combobox', { name: 'Measure' }).selectOption('fpgm_l2');
  await lopper.button('Fine-tune').click();
  const tune = lopper.step('Fine-tune');
  await expect(tune.locator('.meter', { hasText: 'Step' })).toBeVisible();
  await page.keyboard.press('Control+z');
  await tune.getByRole('button', { name: 'Stop' }).click();
  await expect(tune).toContainText('Stopped early.');
  await expect(page.getByRole('combobox', { name: 'Measure' })).toHaveValue('fpgm_l2');
  await lopper.button('Undo').click();
  await expect(page.getByRole('combobox', { name: 'Measure' })).toHaveValue('l1');
  await expect(page.getByLabel('Epochs')).toHaveValue('900');
});
