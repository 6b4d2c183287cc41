import { download, fileName } from '../actions/download.js';
import { downloadPage } from '../actions/report.js';
import * as format from '../format.js';
import type { Which } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Step } from './step.js';

export function DownloadStep() {
  const cut = store.cut.value;
  const result = store.result.value;
  const { exact, max_error, tolerance, elsewhere } = cut?.summary ?? { exact: false, max_error: null, tolerance: 0, elsewhere: false };
  const proved = max_error !== null && (!exact || max_error <= tolerance);
  if (!cut || !result || !(proved || elsewhere)) return <Step id="download" state="waiting" note={text.download.needs} />;
  const get = (which: Which, part: 'model' | 'recipe' | 'report') => (): void => void download(which, part);
  const busy = store.busy.value;
  return (
    <Step
      id="download"
      state="open"
      note={store.cutIsCurrent.value ? <code class="file-name">{fileName('model')}</code> : text.download.stale}
    >
      <div class="actions">
        <button type="button" class="button primary big" disabled={busy} onClick={get(result, 'model')}>
          {text.download.model} <span class="button-more">{format.bytes(cut.summary.bytes.after)}</span>
        </button>
        <button type="button" class="button" title={text.download.recipeMore} disabled={busy} onClick={get(result, 'recipe')}>
          {text.download.recipe}
        </button>
        <button type="button" class="button" title={text.download.reportMore} disabled={busy} onClick={get(result, 'report')}>
          {text.download.report}
        </button>
        <button type="button" class="button" title={text.download.pageMore} disabled={busy} onClick={() => void downloadPage(result)}>
          {text.download.page}
        </button>
        {result === 'tuned' && (
          <button type="button" class="button link" disabled={busy} onClick={get('cut', 'model')}>
            {text.download.cutOnly}
          </button>
        )}
      </div>
    </Step>
  );
}
