import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';

/** A fold-out that makes its body only while it is open. */
export function Panel(props: { title: string; children(): ComponentChildren }) {
  const open = useSignal(false);
  return (
    <details class="more panel" onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>{props.title}</summary>
      {open.value && <div class="panel-body">{props.children()}</div>}
    </details>
  );
}
