import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { take } from '../actions/model.js';
import { chooseDevice } from '../actions/session.js';
import type { DeviceChoice } from '../protocol.js';
import * as store from '../store.js';
import { LanguageMenu, text } from '../strings.js';
import { leaveTour, running, startTour } from '../tour/state.js';
import { FileButton } from './controls.js';
import { STEP_IDS, type StepId } from './step.js';

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 20 16" width="22" height="18" aria-hidden="true">
      <rect class="mark-kept" y="0" width="20" height="4" rx="1.5" />
      <rect class="mark-kept" y="6" width="11" height="4" rx="1.5" />
      <rect class="mark-gone" x="13" y="6" width="7" height="4" rx="1.5" />
      <rect class="mark-kept" y="12" width="14" height="4" rx="1.5" />
      <rect class="mark-gone" x="16" y="12" width="4" height="4" rx="1.5" />
    </svg>
  );
}

const CHOICES: readonly DeviceChoice[] = ['auto', 'gpu', 'cpu'];

function DeviceMenu() {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event): void => {
      const open = menu.current;
      if (!open?.open) return;
      const away = event instanceof KeyboardEvent ? event.key === 'Escape' : !open.contains(event.target as Node);
      if (!away) return;
      open.open = false;
      if (event instanceof KeyboardEvent) open.querySelector('summary')?.focus();
    };
    const end = new AbortController();
    document.addEventListener('pointerdown', close, end);
    document.addEventListener('keydown', close, end);
    return () => end.abort();
  }, []);
  const device = store.device.value;
  const loading = store.engine.value.state === 'loading';
  const checking = store.task.value?.name === 'device';
  const label = !device || loading || checking ? text.device.checking : device.kind === 'gpu' ? text.device.gpu : text.device.cpu;
  return (
    <details class="menu" ref={menu}>
      <summary aria-label={`${text.header.device}: ${label}`}>
        <span class={`lamp lamp-${device?.kind ?? 'none'}`} aria-hidden="true" />
        <span class="device-word" data-room={text.device.checking}>
          {label}
        </span>
      </summary>
      <div class="menu-body">
        {device && (
          <p class="menu-now">
            <b>{device.name}</b>
            <span>{text.said(device.why)}</span>
          </p>
        )}
        <fieldset disabled={store.busy.value}>
          <legend class="hidden">{text.header.device}</legend>
          {CHOICES.map((choice) => (
            <label key={choice} class="menu-choice">
              <input
                type="radio"
                name="device"
                checked={store.deviceChoice.value === choice}
                onChange={() => void chooseDevice(choice)}
              />
              <span>
                {text.device[choice]}
                <small>{text.device[`${choice}More`]}</small>
              </span>
            </label>
          ))}
        </fieldset>
      </div>
    </details>
  );
}

const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const THEME_KEY = 'lopper-theme';

function storedTheme(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(THEME_KEY)) ?? 'auto';
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
    return 'auto';
  }
}

function ThemeButton() {
  const theme = useSignal<Theme>(storedTheme());
  useEffect(() => {
    if (theme.value === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
    try {
      localStorage.setItem(THEME_KEY, theme.value);
    } catch {
      // As above.
    }
  }, [theme.value]);
  const next = (): void => {
    theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'auto';
  };
  const label = text.header.theme[theme.value];
  return (
    <button type="button" class="icon" aria-label={label} title={label} onClick={next}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5" />
        {theme.value === 'auto' && <path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" />}
        {theme.value === 'dark' && <circle cx="8" cy="8" r="6" fill="currentColor" />}
      </svg>
    </button>
  );
}

function stepDone(id: StepId): boolean {
  switch (id) {
    case 'model':
    case 'groups':
      return true;
    case 'cut':
    case 'proof':
      return store.cutIsCurrent.value;
    case 'data':
      return store.data.value !== undefined;
    case 'evaluate':
      return store.evaluations.value.original !== undefined && store.evaluations.value.cut !== undefined;
    case 'tune':
      return store.tune.value === 'finished' || store.tune.value === 'stopped';
    case 'download':
      return false;
  }
}

/** Goes to a step without a word in the address, which holds the recipe. */
function go(event: MouseEvent, id: string): void {
  const place = document.getElementById(id);
  if (!place || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  place.scrollIntoView();
  place.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true });
}

function StepNav() {
  return (
    <nav class="step-nav" aria-label={text.header.steps}>
      <ol>
        {STEP_IDS.map((id) => (
          <li key={id} class={stepDone(id) ? 'is-done' : ''}>
            <a href={`#${id}`} onClick={(event) => go(event, id)}>
              {text.steps[id].title}
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

function Compass() {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M10.9 5.1 9.2 9.2 5.1 10.9 6.8 6.8z" fill="currentColor" />
    </svg>
  );
}

export function Header() {
  const opened = store.model.value !== undefined;
  return (
    <header class="top">
      <div class="top-row">
        <a class="brand" href="#top" onClick={(event) => go(event, 'top')}>
          <Mark />
          {text.header.home}
        </a>
        {opened && <StepNav />}
        <div class="top-tools">
          {opened && (
            <FileButton
              label={text.header.another}
              accept=".onnx"
              disabled={store.busy.value}
              take={(files) => void take(files)}
            />
          )}
          {opened && (
            <button
              type="button"
              class="icon tour-start"
              aria-label={text.tour.start}
              aria-pressed={running.value}
              title={text.tour.start}
              onClick={() => (running.value ? leaveTour() : void startTour())}
            >
              <Compass />
            </button>
          )}
          <DeviceMenu />
          <LanguageMenu />
          <ThemeButton />
        </div>
      </div>
    </header>
  );
}
