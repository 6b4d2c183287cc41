import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { notePanel } from '../actions/views.js';

/** A fold-out that makes its body only while it is open. `name`: the tour can point at it. */
export function Panel(props: { title: string; name?: string; children(): ComponentChildren }) {
  const open = useSignal(false);
  const { name } = props;
  return (
    <details
      class="more panel"
      id={name && `panel-${name}`}
      onToggle={(event) => {
        open.value = event.currentTarget.open;
        if (name) notePanel(name, open.value);
      }}
    >
      <summary>{props.title}</summary>
      {open.value && <div class="panel-body">{props.children()}</div>}
    </details>
  );
}
