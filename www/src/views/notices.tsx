import { dismiss } from '../actions/session.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Told } from './told.js';

export function Notices() {
  return (
    <div class="notices" role="region" aria-label={text.notices.label}>
      {store.notices.value.map((notice) => (
        <div key={notice.id} class={`notice notice-${notice.tone}`} role={notice.tone === 'bad' ? 'alert' : 'status'}>
          <p>
            {notice.code ? <Told message={notice.message} /> : notice.message}
            {notice.code && <code class="notice-code">{notice.code}</code>}
          </p>
          <button type="button" class="button link" onClick={() => dismiss(notice.id)}>
            {text.notices.dismiss}
          </button>
        </div>
      ))}
    </div>
  );
}
