import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import * as format from '../format.js';
import { text } from '../strings.js';

/** More pictures than this are shown only when asked for. */
const SHOWN = 64;

/** Pictures in rows, the first of them at first. */
export function Some<T>(props: { of: readonly T[]; small?: boolean; children(one: T): ComponentChildren }) {
  const all = useSignal(false);
  const { of } = props;
  return (
    <>
      <ul class={props.small ? 'bitmaps bitmaps-small' : 'bitmaps'}>{(all.value ? of : of.slice(0, SHOWN)).map(props.children)}</ul>
      {of.length > SHOWN && !all.value && (
        <button type="button" class="button link" onClick={() => (all.value = true)}>
          {text.seeing.layer.all(format.exactly(of.length))}
        </button>
      )}
    </>
  );
}
