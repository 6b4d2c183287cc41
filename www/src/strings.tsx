/** The page's words in the language that the person reads. */

import { signal } from '@preact/signals';
import { type Strings, en } from './strings/en.js';

/** Each language by its own name. */
const NAMES = { en: 'English', zh: '中文' } as const;
export type Language = keyof typeof NAMES;
const LANGUAGES = Object.keys(NAMES) as Language[];
/** What `<html lang>` and `Intl` call them. */
export const TAGS: Record<Language, string> = { en: 'en', zh: 'zh-CN' };
const KEY = 'lopper-language';

/** Holds every sentence of the engine, too: whoever reads English does not wait for it. */
let chinese: Promise<Strings | undefined> | undefined;
function fetchChinese(): Promise<Strings | undefined> {
  chinese ??= import('./strings/zh.js').then(
    ({ zh }) => zh,
    () => (chinese = undefined),
  );
  return chinese;
}
const loaded: { [L in Language]?: Strings } = { en };

function preferred(): Language {
  const fits = (tag: string | null): Language | undefined => LANGUAGES.find((language) => tag?.toLowerCase().startsWith(language));
  try {
    const stored = fits(localStorage.getItem(KEY));
    if (stored) return stored;
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
  return navigator.languages.map(fits).find((language) => language !== undefined) ?? 'en';
}

export const language = signal<Language>('en');

async function speak(wanted: Language): Promise<void> {
  const zh = wanted === 'zh' ? await fetchChinese() : undefined;
  if (zh) loaded.zh = zh;
  // Words that could not be fetched leave the page in English.
  language.value = loaded[wanted] ? wanted : 'en';
  document.documentElement.lang = TAGS[language.value];
  document.title = text.landing.page;
}

/** Takes the language that was chosen before, or the first of the browser's that there is. */
export async function startLanguage(): Promise<void> {
  await speak(preferred());
}

/** Fetches the other language, as the last part of loading: a change then asks nothing of the network. */
export async function fetchLanguages(): Promise<void> {
  await fetchChinese();
}

export async function chooseLanguage(wanted: Language): Promise<void> {
  await speak(wanted);
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // As above.
  }
}

/** The strings of the language in use. Whoever reads them while rendering is rendered anew when it changes. */
export const text: Strings = new Proxy(en, {
  get: (_, key) => (loaded[language.value] ?? en)[key as keyof Strings],
});

/** The choice of a language; its names are each in their own. */
export function LanguageMenu() {
  return (
    <label class="language">
      <span class="hidden">{text.header.language}</span>
      <select value={language.value} onChange={(event) => void chooseLanguage(event.currentTarget.value as Language)}>
        {LANGUAGES.map((name) => (
          <option key={name} value={name} lang={TAGS[name]}>
            {NAMES[name]}
          </option>
        ))}
      </select>
    </label>
  );
}
