import { useSignal } from '@preact/signals';
import { commandLine, copy, leaveFurtherOut, link, recipe, saveRecipe } from '../actions/recipe.js';
import { redo, steps, undo } from '../actions/settings.js';
import * as store from '../store.js';
import { text } from '../strings.js';

function Turn(props: { forth?: boolean }) {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" class={props.forth ? 'flipped' : undefined}>
      <path
        d="M6 3 2.8 6.2 6 9.4M3 6.2h6.2a3.8 3.8 0 0 1 0 7.6H6.5"
        fill="none"
        stroke="currentColor"
        stroke-width="1.6"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}

/** The settings as a whole: back and forth, as a link, as a command, as a file. */
export function Share() {
  /** What was copied last, or could not be. */
  const said = useSignal<{ kind: 'link' | 'command'; words: string; done: boolean } | undefined>(undefined);
  const busy = store.busy.value;
  const none = recipe.value === undefined;
  const copied = async (kind: 'link' | 'command', words: Promise<string>): Promise<void> => {
    const found = await words;
    said.value = { kind, words: found, done: await copy(found) };
  };
  return (
    <section class="share" aria-label={text.recipe.title}>
      <h3>{text.recipe.title}</h3>
      <div class="share-turns">
        <button
          type="button"
          class="icon"
          aria-label={text.recipe.undo}
          title={`${text.recipe.undo} (Ctrl+Z)`}
          disabled={busy || steps.value.back === 0}
          onClick={undo}
        >
          <Turn />
        </button>
        <button
          type="button"
          class="icon"
          aria-label={text.recipe.redo}
          title={`${text.recipe.redo} (Ctrl+Shift+Z)`}
          disabled={busy || steps.value.forth === 0}
          onClick={redo}
        >
          <Turn forth />
        </button>
      </div>
      <div class="share-ways">
        <button
          type="button"
          class="button link"
          title={text.recipe.linkMore}
          disabled={busy || none}
          onClick={() => void copied('link', link())}
        >
          {text.recipe.link}
        </button>
        <button type="button" class="button link" disabled={busy || none} onClick={() => void copied('command', commandLine())}>
          {text.recipe.command}
        </button>
        <button type="button" class="button link" disabled={none} onClick={saveRecipe}>
          {text.recipe.save}
        </button>
      </div>
      {store.further.value.length > 0 && (
        <div class="share-said share-further">
          <p class="hint">{text.recipe.further(store.further.value)}</p>
          <button type="button" class="button link" disabled={busy} onClick={leaveFurtherOut}>
            {text.recipe.leaveOut}
          </button>
        </div>
      )}
      {said.value && (
        <div class="share-said" role="status">
          <p class="hint">{said.value.done ? text.recipe.copied[said.value.kind] : text.recipe.notCopied}</p>
          <code tabIndex={0}>{said.value.words}</code>
        </div>
      )}
    </section>
  );
}
